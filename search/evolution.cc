#include "search/evolution.h"

#include <algorithm>
#include <stdexcept>
#include <utility>

#include "search/mutation.h"

namespace longrope {

Evolution::Evolution(const SearchSpace& space, const EvolutionOptions& options,
                     std::vector<Seed> seeds, uint64_t seed, std::string stage)
    : space_(space),
      options_(options),
      seeds_(std::move(seeds)),
      seed_(seed),
      stage_(std::move(stage)) {
  if (seeds_.empty()) throw std::invalid_argument("a search needs at least one seed");
  for (const Seed& first : seeds_) {
    if (!space_.Contains(first.genome)) throw std::invalid_argument("a seed is not in the space");
  }
}

Rng Evolution::Stream(int generation, int child) const {
  return Rng(seed_, stage_, static_cast<uint32_t>(generation), static_cast<uint32_t>(child));
}

int Evolution::DrawFirst(Population* population) const {
  int added = 0;
  for (const Seed& first : seeds_) {
    if (added == options_.population) return added;
    added += population->Add(0, first.origin, {kNoParent, kNoParent}, first.genome);
  }
  const int unique = added;
  for (int child = 0; added < options_.population; ++child) {
    Rng rng = Stream(0, child);
    const int64_t parent = child % unique;
    Genome genome = population->candidates()[static_cast<size_t>(parent)].genome;
    for (int sweep = 0; sweep < options_.seed_sweeps; ++sweep) {
      Sweep(&genome, space_, options_.mutation_rate, rng);
    }
    RedrawScalars(&genome, space_, rng);
    if (population->genomes().contains(genome)) {
      auto other = Mutate(genome, space_, options_.mutation_rate, population->genomes(), rng);
      if (!other) return added;
      genome = std::move(*other);
    }
    added += population->Add(0, Origin::kSeedMutant, {parent, kNoParent}, std::move(genome));
  }
  return added;
}

bool Evolution::DrawMutant(int generation, int child, const std::vector<int64_t>& parents,
                           Population* population) const {
  Rng rng = Stream(generation, child);
  const int64_t parent = parents[rng.Below(static_cast<uint32_t>(parents.size()))];
  auto genome = Mutate(population->candidates()[static_cast<size_t>(parent)].genome, space_,
                       options_.mutation_rate, population->genomes(), rng);
  return genome &&
         population->Add(generation, Origin::kMutation, {parent, kNoParent}, std::move(*genome));
}

bool Evolution::DrawCrossover(int generation, int child, const std::vector<int64_t>& parents,
                              Population* population) const {
  Rng rng = Stream(generation, child);
  const auto count = static_cast<uint32_t>(parents.size());
  uint32_t first = rng.Below(count), second = rng.Below(count - 1);
  second += second >= first;  // two distinct ones
  const int64_t better = parents[std::min(first, second)], other = parents[std::max(first, second)];
  const Genome& start = population->candidates()[static_cast<size_t>(better)].genome;
  auto genome = Cross(start, population->candidates()[static_cast<size_t>(other)].genome, space_,
                      options_.crossover, population->genomes(), rng);
  const Origin origin = genome ? Origin::kCrossover : Origin::kCrossoverMutant;
  if (!genome) {
    genome = Mutate(start, space_, options_.mutation_rate, population->genomes(), rng);
  }
  return genome && population->Add(generation, origin, {better, other}, std::move(*genome));
}

int Evolution::Draw(int generation, Population* population) const {
  if (generation == 0) return DrawFirst(population);
  std::vector<int64_t> parents = population->Ranked();
  if (parents.size() > static_cast<size_t>(options_.parents)) {
    parents.resize(static_cast<size_t>(options_.parents));
  }
  if (parents.empty()) return 0;
  int added = 0;
  for (int child = 0; child < options_.mutations; ++child) {
    added += DrawMutant(generation, child, parents, population);
  }
  if (parents.size() < 2) return added;
  for (int child = 0; child < options_.crossovers; ++child) {
    added += DrawCrossover(generation, options_.mutations + child, parents, population);
  }
  return added;
}

}  // namespace longrope
