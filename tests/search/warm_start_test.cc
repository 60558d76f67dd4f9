#include "search/warm_start.h"

#include <gtest/gtest.h>

#include "search/evolution.h"
#include "search/seeds.h"
#include "tests/search/fake_evaluator.h"

namespace longrope {
namespace {

constexpr RopeShape kShape{32, 10000, 256};

struct Search {
  SearchSpace space;
  EvolutionOptions options;
  Population population{1, 0};

  explicit Search(bool search_attention = true) : space(Space(search_attention)) {
    options.population = 5;
    options.generations = 0;
    options.parents = 5;
    options.warm_start.evaluations = 64;
  }
  static SearchSpace Space(bool search_attention) {
    SpaceOptions options;
    options.pairs = 16;
    options.bound = 10;
    options.start_tokens = {0, 4, 16, 64};
    options.search_attention = search_attention;
    options.attention_bound = 1.4;
    return SearchSpace(options);
  }
  Evolution Make(uint64_t seed = 3) const {
    return Evolution(space, options, MethodSeeds({"pi", "ntk", "yarn"}, space, kShape, 8, {}),
                     std::make_shared<CurveFamily>(space, CentreCurve(kShape, 8, 1.17),
                                                   options.warm_start.steps),
                     seed, "stage");
  }
  void Score() {
    for (const Candidate& candidate : std::vector<Candidate>(population.candidates())) {
      if (candidate.scores[0]) continue;
      population.SetScore(candidate.id, 0, testing::BowlScore(space.Decode(candidate.genome), 0));
    }
  }
  void Run() {
    for (int generation = 0; generation <= options.LastGeneration(); ++generation) {
      Make().Draw(generation, &population);
      Score();
    }
  }
  double Best() const { return *population.Fitness(population.Ranked().front()); }
};

TEST(WarmStart, ItsGenerationsComeFirstThenASweepOfStartTokensThenTheSeeds) {
  Search search;
  search.Run();
  EXPECT_EQ(search.options.warm_start.Generations(), 9);
  int family = 0, sweeps = 0;
  for (const Candidate& c : search.population.candidates()) {
    EXPECT_TRUE(search.space.Contains(c.genome));
    if (c.generation < 8) {
      EXPECT_EQ(c.origin, Origin::kFamily);
      EXPECT_EQ(c.genome.start_index, 0);
      ++family;
    } else if (c.generation == 8) {
      EXPECT_EQ(c.origin, Origin::kStartSweep);
      ++sweeps;
    } else {
      EXPECT_TRUE(c.origin == Origin::kPi || c.origin == Origin::kNtk ||
                  c.origin == Origin::kYarn || c.origin == Origin::kSeedMutant);
    }
  }
  EXPECT_GT(family, 50);
  EXPECT_LE(family, 64);
  EXPECT_EQ(sweeps, 3);
  EXPECT_LE(static_cast<int64_t>(search.population.candidates().size()),
            search.options.Evaluations(4));
}

TEST(WarmStart, FindsBetterCurvesThanEverySeedAndThanRandomOnes) {
  Search search;
  search.Run();
  for (const Candidate& c : search.population.candidates()) {
    if (c.origin == Origin::kPi || c.origin == Origin::kNtk || c.origin == Origin::kYarn) {
      EXPECT_LT(search.Best(), 0.9 * *search.population.Fitness(c.id)) << NameOf(c.origin);
    }
  }
  // It learns: the mean of its last batch is better than that of its first.
  const auto mean = [&](int generation) {
    double sum = 0, count = 0;
    for (const Candidate& c : search.population.candidates()) {
      if (c.generation != generation) continue;
      sum += *search.population.Fitness(c.id);
      ++count;
    }
    return sum / count;
  };
  EXPECT_LT(mean(7), mean(0));
}

TEST(WarmStart, TheMutantsOfGenerationZeroHaveItsBestAmongTheirParents) {
  Search search;
  search.options.population = 20;
  search.Run();
  const auto& all = search.population.candidates();
  int from_family = 0;
  for (const Candidate& c : all) {
    if (c.origin != Origin::kSeedMutant) continue;
    from_family += all[static_cast<size_t>(c.parents[0])].generation < 9;
  }
  EXPECT_GE(from_family, 8);
}

// Nothing but the scores is remembered, so a search that goes on from a checkpoint draws the same.
TEST(WarmStart, DrawsTheSameFromTheScoresAlone) {
  Search whole;
  whole.Run();
  for (int cut = 0; cut <= 9; ++cut) {
    Search again;
    for (const Candidate& c : whole.population.candidates()) {
      if (c.generation >= cut) break;
      again.population.Add(c.generation, c.origin, c.parents, c.genome);
      again.population.SetScore(c.id, 0, *c.scores[0]);
    }
    again.Make().Draw(cut, &again.population);
    const auto &all = whole.population.candidates(), &drawn = again.population.candidates();
    for (size_t i = 0; i < drawn.size(); ++i) EXPECT_EQ(drawn[i].genome, all[i].genome);
  }
}

TEST(WarmStart, BeginsAnewElsewhereWhereItStalls) {
  Search search(false);
  search.options.warm_start.evaluations = 400;
  search.options.warm_start.stall = 3;
  search.options.warm_start.start_sweeps = 0;
  search.Run();
  // A narrow search would end in duplicates: after a restart new candidates come again.
  int late = 0;
  for (const Candidate& c : search.population.candidates()) late += c.generation >= 40;
  EXPECT_GT(late, 20);
}

TEST(Evolution, OperatorsAreDrawnByTheirRates) {
  Search search;
  search.options.warm_start.evaluations = 0;
  search.options.population = 20;
  search.options.generations = 30;
  search.options.parents = 10;
  search.options.rates = {
      .sweep = 1, .segment = 2, .shift = 1, .scalars = 0, .uniform = 0, .blend = 1, .prefix = 1};
  search.Run();
  std::vector<int> counts(kOrigins);
  for (const Candidate& c : search.population.candidates()) ++counts[static_cast<size_t>(c.origin)];
  const auto of = [&](Origin origin) { return counts[static_cast<size_t>(origin)]; };
  EXPECT_NEAR(of(Origin::kSegment), 240, 45);  // of 480 mutations
  EXPECT_NEAR(of(Origin::kShift), 120, 40);
  EXPECT_NEAR(of(Origin::kMutation), 120, 45);
  EXPECT_EQ(of(Origin::kScalars), 0);
  EXPECT_EQ(of(Origin::kCrossover), 0);
  EXPECT_NEAR(of(Origin::kBlend), 240, 50);  // of 480 crossovers
  EXPECT_NEAR(of(Origin::kPrefix), 240, 50);
}

}  // namespace
}  // namespace longrope
