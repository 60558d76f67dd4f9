// Algorithm 1 of LongRoPE (arXiv 2402.13753): which candidates the next generation holds.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "search/crossover.h"
#include "search/population.h"
#include "search/space.h"

namespace longrope {

struct EvolutionOptions {
  int population = 64;         // candidates of generation 0
  int generations = 40;        // iterations after it
  int mutations = 16;          // children by mutation, a generation
  int crossovers = 16;         // children by crossover, a generation
  int parents = 32;            // the best so many may have children
  double mutation_rate = 0.3;  // probability that a gene is redrawn
  int seed_sweeps = 30;        // sweeps that make a first mutant of a seed
  CrossoverOptions crossover;

  // Candidates that a whole search evaluates.
  int64_t Evaluations() const {
    return population + int64_t{generations} * (mutations + crossovers);
  }
};

// A candidate to begin with.
struct Seed {
  Origin origin = Origin::kPi;
  Genome genome;
};

// Draws generations. A pure function of (seed, stage, generation, population so far): the order in
// which scores arrived changes nothing, and a resumed search draws what the first one would have.
class Evolution {
 public:
  // `stage` names the random streams. Seeds are members of the space, at least one.
  Evolution(const SearchSpace& space, const EvolutionOptions& options, std::vector<Seed> seeds,
            uint64_t seed, std::string stage);

  // Appends generation 0 (the seeds, then mutants of them in turn) or the children of a later one
  // (mutants, then crossovers, of the best evaluated candidates). Returns how many were added:
  // fewer than asked for where the space is exhausted.
  int Draw(int generation, Population* population) const;

 private:
  int DrawFirst(Population* population) const;
  bool DrawMutant(int generation, int child, const std::vector<int64_t>& parents,
                  Population* population) const;
  bool DrawCrossover(int generation, int child, const std::vector<int64_t>& parents,
                     Population* population) const;
  Rng Stream(int generation, int child) const;

  const SearchSpace& space_;
  EvolutionOptions options_;
  std::vector<Seed> seeds_;
  uint64_t seed_;
  std::string stage_;
};

}  // namespace longrope
