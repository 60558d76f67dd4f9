// The beginning of a frugal search: CMA-ES over a family of curves, then n-hat for the best of
// them.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "search/curve_family.h"
#include "search/population.h"
#include "search/space.h"

namespace longrope {

struct WarmStartOptions {
  int evaluations = 0;  // points of the family that are asked for; 0: no warm start
  int batch = 8;        // points a generation of CMA-ES
  int stall = 8;  // generations without a better point after which CMA-ES begins anew elsewhere
  int start_sweeps = 1;  // times that the best curve is tried with every n-hat
  int members = 8;       // the best so many join the seeds of generation 0 of the evolution
  CurveSteps steps;

  int FamilyGenerations() const { return (evaluations + batch - 1) / batch; }
  // All generations of the warm start; they come before those of the evolution.
  int Generations() const { return evaluations == 0 ? 0 : FamilyGenerations() + start_sweeps; }
  // Candidates of all of them, at most.
  int64_t Evaluations(int64_t start_values) const {
    return evaluations == 0
               ? 0
               : int64_t{FamilyGenerations()} * batch + start_sweeps * (start_values - 1);
  }
};

// Draws the candidates of its generations. Keeps no state: what CMA-ES has learnt is computed anew
// from the scores in the population, so that a checkpoint needs nothing more than those.
class WarmStart {
 public:
  // `stage` names the random streams; `space` outlives the warm start.
  WarmStart(const SearchSpace& space, const WarmStartOptions& options,
            std::shared_ptr<const Family> family, uint64_t seed, std::string stage);

  // Genomes of a generation, in order; some may be in the population already: they cost nothing.
  // Every candidate of the generations before is in the population; one without scores (the budget
  // ended there) counts as the worst.
  std::vector<Genome> Draw(int generation, const Population& population) const;

 private:
  std::vector<Genome> DrawFamily(int generation, const Population& population) const;
  std::vector<Genome> SweepStartTokens(const Population& population) const;

  const SearchSpace& space_;
  WarmStartOptions options_;
  std::shared_ptr<const Family> family_;
  uint64_t seed_;
  std::string stage_;
};

}  // namespace longrope
