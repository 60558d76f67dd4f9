#include "search/study/cell_result.h"

#include <algorithm>
#include <cmath>
#include <limits>

#include "search/study/score_cache.h"

namespace longrope {
namespace {

Scores HeldOutOf(const Scores& scores, int fitness) {
  return Scores(scores.begin() + fitness, scores.end());
}

}  // namespace

double HeldOutPerplexity(const Scores& held_out) {
  return PerplexityOf(held_out, 0, held_out.size()).value_or(INFINITY);
}

std::vector<CellPoint> PointsOf(const StageState& state, const std::vector<int64_t>& marks) {
  const Population& population = state.population;
  std::vector<CellPoint> points;
  CellPoint now;
  now.fitness = std::numeric_limits<double>::infinity();
  size_t mark = 0;
  const auto keep = [&] {
    const Candidate& best = population.candidates()[static_cast<size_t>(now.candidate)];
    points.push_back(now);
    points.back().held_out = HeldOutOf(best.scores, population.fitness());
  };
  // Candidates were scored in their order: a budget of that mark would have ended before this one.
  for (const Candidate& candidate : population.candidates()) {
    if (!population.Settled(candidate.id)) continue;
    for (; mark < marks.size() &&
           now.scores + population.fitness() > marks[mark] * population.fitness();
         ++mark) {
      keep();
    }
    ++now.evaluations;
    now.scores += population.Met(candidate.id);
    const double fitness = population.Fitness(candidate.id).value_or(INFINITY);
    if (fitness < now.fitness || now.evaluations == 1) {
      now.candidate = candidate.id;
      now.fitness = fitness;
    }
  }
  keep();
  return points;
}

CellResult ResultOf(const StagePlan& plan, const StageState& state,
                    const std::vector<int64_t>& marks) {
  CellResult result;
  const int fitness = state.population.fitness();
  for (const auto& [name, value] : state.fingerprint) {
    if (!name.starts_with("document ")) result.model.emplace_back(name, value);
  }
  for (int i = fitness; i < fitness + state.population.held_out(); ++i) {
    result.held_out.push_back(DocumentOf(state.fingerprint, i));
  }
  result.points = PointsOf(state, marks);
  result.closed_fitness = std::numeric_limits<double>::infinity();
  for (const BaselineState& baseline : state.baselines) {
    // m of the winner took a search to find.
    if (!plan.attention_factor && baseline.baseline.attention == "run") continue;
    const double perplexity = state.Fitness(baseline).value_or(INFINITY);
    if (!(perplexity < result.closed_fitness)) continue;
    result.closed_form = MethodLabel(baseline.baseline);
    result.closed_fitness = perplexity;
    result.closed_held_out = HeldOutOf(baseline.scores, fitness);
  }
  return result;
}

}  // namespace longrope
