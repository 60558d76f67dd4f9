#include "search/evolution.h"

#include <algorithm>
#include <array>
#include <stdexcept>
#include <utility>

#include "search/mutation.h"
#include "search/operators/blend.h"
#include "search/operators/prefix_crossover.h"
#include "search/operators/scalar_redraw.h"
#include "search/operators/segment_scaling.h"
#include "search/operators/shift.h"

namespace longrope {
namespace {

constexpr int kTries = 20;  // of an operator until its child is new

// Index drawn in proportion to the rates. Where there is no choice no number is drawn: with the
// paper's operators alone the random stream is the paper's alone.
template <size_t kCount>
size_t Choose(const std::array<double, kCount>& rates, Rng& rng) {
  if (std::ranges::count_if(rates, [](double rate) { return rate > 0; }) == 1) {
    return static_cast<size_t>(std::ranges::max_element(rates) - rates.begin());
  }
  double total = 0;
  for (double rate : rates) total += rate;
  double at = rng.Unit() * total;
  size_t last = 0;  // with a rate above 0
  for (size_t i = 0; i < kCount; ++i) {
    if (rates[i] <= 0) continue;
    if (at < rates[i]) return i;
    at -= rates[i];
    last = i;
  }
  return last;
}

// The first of kTries children that is not known.
template <class Operator>
std::optional<Genome> FirstNew(const GenomeSet& known, const Operator& make) {
  for (int attempt = 0; attempt < kTries; ++attempt) {
    Genome child = make();
    if (!known.contains(child)) return child;
  }
  return std::nullopt;
}

int64_t IdOf(const Genome& genome, const Population& population) {
  return std::ranges::find(population.candidates(), genome, &Candidate::genome)->id;
}

const Genome& GenomeOf(int64_t id, const Population& population) {
  return population.candidates()[static_cast<size_t>(id)].genome;
}

}  // namespace

Evolution::Evolution(const SearchSpace& space, const EvolutionOptions& options,
                     std::vector<Seed> seeds, std::shared_ptr<const Family> family, uint64_t seed,
                     std::string stage)
    : space_(space),
      options_(options),
      seeds_(std::move(seeds)),
      warm_start_(space, options.warm_start, std::move(family), seed, stage),
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

int Evolution::DrawWarm(int generation, Population* population) const {
  const bool family = generation < options_.warm_start.FamilyGenerations();
  const auto ranked = population->Ranked();
  const int64_t parent = family || ranked.empty() ? kNoParent : ranked.front();
  int added = 0;
  for (Genome& genome : warm_start_.Draw(generation, *population)) {
    added += population->Add(generation, family ? Origin::kFamily : Origin::kStartSweep,
                             {parent, kNoParent}, std::move(genome));
  }
  return added;
}

std::vector<int64_t> Evolution::AddSeeds(int generation, Population* population, int* added) const {
  const auto ranked = population->Ranked();
  std::vector<int64_t> parents;
  for (const Seed& first : seeds_) {
    if (*added == options_.population) break;
    *added += population->Add(generation, first.origin, {kNoParent, kNoParent}, first.genome);
    parents.push_back(IdOf(first.genome, *population));
  }
  const auto members = std::min(static_cast<std::ptrdiff_t>(ranked.size()),
                                static_cast<std::ptrdiff_t>(options_.warm_start.members));
  parents.insert(parents.end(), ranked.begin(), ranked.begin() + members);
  std::vector<int64_t> unique;
  for (int64_t id : parents) {
    if (std::ranges::find(unique, id) == unique.end()) unique.push_back(id);
  }
  return unique;
}

std::optional<Genome> Evolution::FirstMutantOf(const Genome& parent, const GenomeSet& known,
                                               Rng& rng) const {
  Genome genome = parent;
  for (int sweep = 0; sweep < options_.seed_sweeps; ++sweep) {
    Sweep(&genome, space_, options_.mutation_rate, rng);
  }
  RedrawScalars(&genome, space_, rng);
  if (!known.contains(genome)) return genome;
  return Mutate(genome, space_, options_.mutation_rate, known, rng);
}

int Evolution::DrawFirst(int generation, Population* population) const {
  int added = 0;
  const std::vector<int64_t> parents = AddSeeds(generation, population, &added);
  for (int child = 0; added < options_.population; ++child) {
    Rng rng = Stream(generation, child);
    const int64_t parent = parents[static_cast<size_t>(child) % parents.size()];
    auto genome = FirstMutantOf(GenomeOf(parent, *population), population->genomes(), rng);
    if (!genome) return added;
    added +=
        population->Add(generation, Origin::kSeedMutant, {parent, kNoParent}, std::move(*genome));
  }
  return added;
}

std::optional<Genome> Evolution::MutantOf(const Genome& parent, const GenomeSet& known, Rng& rng,
                                          Origin* origin) const {
  using Operator = Genome (*)(const Genome&, const SearchSpace&, Rng&);
  constexpr std::pair<Origin, Operator> kOperators[] = {{Origin::kMutation, nullptr},
                                                        {Origin::kSegment, &ScaleSegment},
                                                        {Origin::kShift, &Shift},
                                                        {Origin::kScalars, &RedrawScalar}};
  const OperatorRates& rates = options_.rates;
  const auto [named, make] =
      kOperators[Choose(std::array{rates.sweep, rates.segment, rates.shift, rates.scalars}, rng)];
  if (make != nullptr) {
    *origin = named;
    auto child = FirstNew(known, [&, make = make] { return make(parent, space_, rng); });
    if (child) return child;
  }
  *origin = Origin::kMutation;
  return Mutate(parent, space_, options_.mutation_rate, known, rng);
}

std::optional<Genome> Evolution::CrossoverOf(const Genome& better, const Genome& other,
                                             const GenomeSet& known, Rng& rng,
                                             Origin* origin) const {
  using Operator = Genome (*)(const Genome&, const Genome&, const SearchSpace&, Rng&);
  constexpr std::pair<Origin, Operator> kOperators[] = {
      {Origin::kCrossover, nullptr}, {Origin::kBlend, &Blend}, {Origin::kPrefix, &CrossPrefix}};
  const OperatorRates& rates = options_.rates;
  const auto [named, make] =
      kOperators[Choose(std::array{rates.uniform, rates.blend, rates.prefix}, rng)];
  *origin = named;
  auto child = make != nullptr
                   ? FirstNew(known, [&, make = make] { return make(better, other, space_, rng); })
                   : Cross(better, other, space_, options_.crossover, known, rng);
  if (child) return child;
  *origin = Origin::kCrossoverMutant;
  return Mutate(better, space_, options_.mutation_rate, known, rng);
}

bool Evolution::DrawMutant(int generation, int child, const std::vector<int64_t>& parents,
                           Population* population) const {
  Rng rng = Stream(generation, child);
  const int64_t parent = parents[rng.Below(static_cast<uint32_t>(parents.size()))];
  Origin origin = Origin::kMutation;
  auto genome = MutantOf(GenomeOf(parent, *population), population->genomes(), rng, &origin);
  return genome && population->Add(generation, origin, {parent, kNoParent}, std::move(*genome));
}

bool Evolution::DrawCrossover(int generation, int child, const std::vector<int64_t>& parents,
                              Population* population) const {
  Rng rng = Stream(generation, child);
  const auto count = static_cast<uint32_t>(parents.size());
  uint32_t first = rng.Below(count), second = rng.Below(count - 1);
  second += second >= first;  // two distinct ones
  const int64_t better = parents[std::min(first, second)], other = parents[std::max(first, second)];
  Origin origin = Origin::kCrossover;
  auto genome = CrossoverOf(GenomeOf(better, *population), GenomeOf(other, *population),
                            population->genomes(), rng, &origin);
  return genome && population->Add(generation, origin, {better, other}, std::move(*genome));
}

int Evolution::Draw(int generation, Population* population) const {
  const int warm = options_.warm_start.Generations();
  if (generation < warm) return DrawWarm(generation, population);
  if (generation == warm) return DrawFirst(generation, population);
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
