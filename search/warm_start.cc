#include "search/warm_start.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>
#include <unordered_map>
#include <utility>

#include "search/cma_es.h"

namespace longrope {
namespace {

constexpr double kNarrow = 0.02;  // steps; points that spread less snap to the same candidates

using FitnessOf = std::unordered_map<Genome, double, GenomeHash>;

FitnessOf FitnessByGenome(const Population& population) {
  FitnessOf fitness;
  for (const Candidate& candidate : population.candidates()) {
    if (const auto value = population.Fitness(candidate.id)) fitness[candidate.genome] = *value;
  }
  return fitness;
}

// CMA-ES runs one after the other, each from a centre of its own.
class Restarts {
 public:
  Restarts(int dimension, const WarmStartOptions& options)
      : dimension_(dimension),
        options_(options),
        search_(dimension, options.batch),
        centre_(static_cast<size_t>(dimension), 0.0) {}

  std::vector<std::vector<double>> Ask(Rng& rng) {
    if (stalled_ >= options_.stall || search_.Spread() < kNarrow) {
      search_ = CmaEs(dimension_, options_.batch);
      for (double& coordinate : centre_) coordinate = rng.Normal();
      stalled_ = 0;
      best_ = std::numeric_limits<double>::infinity();
    }
    auto points = search_.Ask(rng);
    for (auto& point : points) {
      std::ranges::transform(point, centre_, point.begin(), std::plus{});
    }
    return points;
  }

  // Equal fitness (points that snap to one candidate) is ranked by the distance from the centre, so
  // that the search does not drift where the space ends.
  void Tell(const std::vector<std::vector<double>>& points, const std::vector<double>& fitness) {
    std::vector<std::pair<double, double>> keys;
    for (size_t i = 0; i < points.size(); ++i) {
      keys.emplace_back(fitness[i], std::inner_product(points[i].begin(), points[i].end(),
                                                       points[i].begin(), 0.0));
    }
    std::vector<int> order(points.size());
    std::iota(order.begin(), order.end(), 0);
    std::ranges::stable_sort(order, {}, [&](int i) { return keys[static_cast<size_t>(i)]; });
    search_.Tell(order);
    const double best = std::ranges::min(fitness);
    stalled_ = best < best_ ? 0 : stalled_ + 1;
    best_ = std::min(best, best_);
  }

 private:
  int dimension_;
  const WarmStartOptions& options_;
  CmaEs search_;
  std::vector<double> centre_;
  int stalled_ = 0;
  double best_ = std::numeric_limits<double>::infinity();
};

}  // namespace

WarmStart::WarmStart(const SearchSpace& space, const WarmStartOptions& options,
                     std::shared_ptr<const Family> family, uint64_t seed, std::string stage)
    : space_(space),
      options_(options),
      family_(std::move(family)),
      seed_(seed),
      stage_(std::move(stage)) {}

std::vector<Genome> WarmStart::Draw(int generation, const Population& population) const {
  return generation < options_.FamilyGenerations() ? DrawFamily(generation, population)
                                                   : SweepStartTokens(population);
}

std::vector<Genome> WarmStart::DrawFamily(int generation, const Population& population) const {
  const FitnessOf known = FitnessByGenome(population);
  Restarts search(family_->dimension(), options_);
  for (int g = 0;; ++g) {
    Rng rng(seed_, stage_ + "/family", static_cast<uint32_t>(g), 0);
    const auto points = search.Ask(rng);
    std::vector<Genome> genomes;
    for (const auto& point : points) genomes.push_back(family_->GenomeAt(point));
    if (g == generation) return genomes;
    std::vector<double> fitness;
    for (const Genome& genome : genomes) {
      const auto found = known.find(genome);
      fitness.push_back(found == known.end() ? std::numeric_limits<double>::infinity()
                                             : found->second);
    }
    search.Tell(points, fitness);
  }
}

std::vector<Genome> WarmStart::SweepStartTokens(const Population& population) const {
  const auto ranked = population.Ranked();
  std::vector<Genome> genomes;
  if (ranked.empty()) return genomes;
  Genome genome = population.candidates()[static_cast<size_t>(ranked.front())].genome;
  for (int32_t start = 0; start < space_.start_count(); ++start) {
    genome.start_index = start;
    genomes.push_back(genome);
  }
  return genomes;
}

}  // namespace longrope
