// Algorithm 1 of LongRoPE (arXiv 2402.13753), with a warm start and further operators where they
// are asked for: which candidates the next generation holds.
#pragma once

#include <algorithm>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "search/crossover.h"
#include "search/population.h"
#include "search/space.h"
#include "search/warm_start.h"

namespace longrope {

// How often each operator makes a child, in proportion. The paper has one of each kind.
struct OperatorRates {
  // Of a child of one parent.
  double sweep = 1;    // the paper's mutation
  double segment = 0;  // ScaleSegment
  double shift = 0;    // Shift
  double scalars = 0;  // RedrawScalar
  // Of a child of two.
  double uniform = 1;  // the paper's crossover
  double blend = 0;    // Blend
  double prefix = 0;   // CrossPrefix
};

struct EvolutionOptions {
  int population = 64;         // candidates of generation 0, those of a warm start not counted
  int generations = 40;        // iterations after it
  int mutations = 16;          // children by mutation, a generation
  int crossovers = 16;         // children by crossover, a generation
  int parents = 32;            // the best so many may have children
  double mutation_rate = 0.3;  // probability that a gene is redrawn
  int seed_sweeps = 30;        // sweeps that make a first mutant of a seed
  CrossoverOptions crossover;
  OperatorRates rates;
  WarmStartOptions warm_start;  // its generations come first

  int LastGeneration() const { return warm_start.Generations() + generations; }
  // The best so many decide what is drawn once `generation` is done; 0: all, since CMA-ES learns
  // from every rank.
  int Deciding(int generation) const {
    if (generation < warm_start.FamilyGenerations()) return 0;
    return generation < warm_start.Generations() ? std::max(parents, warm_start.members) : parents;
  }
  // Candidates that a whole search evaluates at most, in a space with so many values of n-hat: a
  // warm start may come upon the same candidate twice.
  int64_t Evaluations(int64_t start_values = 1) const {
    return warm_start.Evaluations(start_values) + population +
           int64_t{generations} * (mutations + crossovers);
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
  // `stage` names the random streams. Seeds are members of the space, at least one; a warm start
  // looks in `family` (not asked where there is none). `space` outlives the evolution.
  Evolution(const SearchSpace& space, const EvolutionOptions& options, std::vector<Seed> seeds,
            std::shared_ptr<const Family> family, uint64_t seed, std::string stage);

  // Appends a generation of the warm start, or the first one after it (the seeds, then mutants of
  // them and of the best of the warm start in turn), or the children of a later one (mutants, then
  // crossovers, of the best evaluated candidates). Returns how many were added: fewer than asked
  // for where the space is exhausted, or where a warm start comes upon candidates that are there.
  int Draw(int generation, Population* population) const;

 private:
  int DrawWarm(int generation, Population* population) const;
  int DrawFirst(int generation, Population* population) const;
  // Seeds, appended unless they are there, and the best of the warm start: whose mutants follow.
  std::vector<int64_t> AddSeeds(int generation, Population* population, int* added) const;
  std::optional<Genome> FirstMutantOf(const Genome& parent, const GenomeSet& known, Rng& rng) const;
  // Children by an operator drawn by its rate; *origin names the one that made it.
  std::optional<Genome> MutantOf(const Genome& parent, const GenomeSet& known, Rng& rng,
                                 Origin* origin) const;
  std::optional<Genome> CrossoverOf(const Genome& better, const Genome& other,
                                    const GenomeSet& known, Rng& rng, Origin* origin) const;
  bool DrawMutant(int generation, int child, const std::vector<int64_t>& parents,
                  Population* population) const;
  bool DrawCrossover(int generation, int child, const std::vector<int64_t>& parents,
                     Population* population) const;
  Rng Stream(int generation, int child) const;

  const SearchSpace& space_;
  EvolutionOptions options_;
  std::vector<Seed> seeds_;
  WarmStart warm_start_;
  uint64_t seed_;
  std::string stage_;
};

}  // namespace longrope
