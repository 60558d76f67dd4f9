// Who watches a run: progress and messages go here, the libraries print nothing.
#pragma once

#include <cstdint>
#include <limits>
#include <string>

namespace longrope {

// Where a run stands.
struct Progress {
  std::string stage;
  enum class Phase { kBaselines, kSearch, kHeldOut } phase = Phase::kSearch;
  int64_t evaluations = 0;  // candidates that are settled: evaluated, or stopped by racing
  int64_t planned_evaluations = 0;
  int64_t scores = 0;  // of the stage, baselines and held-out ones included
  int64_t planned_scores = 0;
  double best = std::numeric_limits<double>::infinity();  // perplexity so far
  double seconds = 0;                                     // that the newest score took
};

class RunObserver {
 public:
  virtual ~RunObserver() = default;
  virtual void OnProgress(const Progress& progress) = 0;
  virtual void OnMessage(const std::string& text) = 0;
  virtual void OnWarning(const std::string& text) = 0;
};

}  // namespace longrope
