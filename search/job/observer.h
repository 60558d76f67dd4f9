// Who watches a run: progress and messages go here, the libraries print nothing.
#pragma once

#include <limits>
#include <string>

#include "search/job/stage_state.h"

namespace longrope {

// Where a run stands.
struct Progress : StageProgress {
  std::string stage;
  enum class Phase { kBaselines, kSearch, kHeldOut } phase = Phase::kSearch;
  double best = std::numeric_limits<double>::infinity();  // perplexity so far
  double seconds = 0;                                     // that the newest score took
};

// Messages and warnings may come from any thread; progress from one at a time.
class RunObserver {
 public:
  virtual ~RunObserver() = default;
  virtual void OnProgress(const Progress& progress) = 0;
  virtual void OnMessage(const std::string& text) = 0;
  virtual void OnWarning(const std::string& text) = 0;
};

}  // namespace longrope
