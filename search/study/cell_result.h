// What one search of a study found, by scores spent.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "search/job/stage_plan.h"
#include "search/job/stage_state.h"

namespace longrope {

// The best so far at some moment of a search.
struct CellPoint {
  int64_t evaluations = 0;  // candidates settled until then
  int64_t scores = 0;       // that they took
  int64_t candidate = 0;    // the best of them
  double fitness = 0;       // its perplexity
  Scores held_out;          // of its documents, as far as known
};

struct CellResult {
  std::string method;
  int64_t length = 0, seed = 0;
  FingerprintParts model;             // what its scores depend on besides documents
  std::vector<std::string> held_out;  // documents: title, ids, which tokens count
  std::vector<CellPoint> points;      // at the marks, then at the end
  // The closed form with the lowest fitness; m its own, or the run's where that was not searched.
  std::string closed_form;
  double closed_fitness = 0;
  Scores closed_held_out;

  const CellPoint& Last() const { return points.back(); }
};

// Perplexity on the held-out documents; infinite where one is missing.
double HeldOutPerplexity(const Scores& held_out);

// The best after each of `marks` evaluations (counted in scores, as budgets are) and at the end,
// whose evaluations are fewer where the search ended before. Held-out scores as the state has them.
// Of a state with a winner.
std::vector<CellPoint> PointsOf(const StageState& state, const std::vector<int64_t>& marks);

// The result of a finished search, without its method.
CellResult ResultOf(const StagePlan& plan, const StageState& state,
                    const std::vector<int64_t>& marks);

}  // namespace longrope
