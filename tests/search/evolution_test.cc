#include "search/evolution.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <set>

#include "search/job/job_options.h"
#include "search/seeds.h"
#include "tests/search/fake_evaluator.h"

namespace longrope {
namespace {

constexpr RopeShape kShape{32, 10000, 256};

SearchSpace Space() {
  SpaceOptions options;
  options.pairs = 16;
  options.bound = 10;
  const StageOptions defaults;
  options.start_tokens = defaults.start_tokens;
  return SearchSpace(options);
}

struct Search {
  SearchSpace space = Space();
  EvolutionOptions options;
  Population population{1, 0};

  Evolution Make() const {
    return Evolution(space, options, MethodSeeds({"pi", "ntk", "yarn"}, space, kShape, 8, {}),
                     std::make_shared<CurveFamily>(space, CentreCurve(kShape, 8, 1.17),
                                                   options.warm_start.steps),
                     11, "stage");
  }
  void Score() {
    for (const Candidate& candidate : std::vector<Candidate>(population.candidates())) {
      if (candidate.scores[0]) continue;
      population.SetScore(candidate.id, 0, testing::BowlScore(space.Decode(candidate.genome), 0));
    }
  }
  int Run() {
    int drawn = 0;
    for (int generation = 0; generation <= options.generations; ++generation) {
      drawn += Make().Draw(generation, &population);
      Score();
    }
    return drawn;
  }
};

TEST(Evolution, TheDefaultScheduleMakes1344Candidates) {
  Search search;
  EXPECT_EQ(search.options.Evaluations(), 1344);
  EXPECT_EQ(search.Run(), 1344);
}

TEST(Evolution, TheScheduleAbove512kMakes672Candidates) {
  Search search;
  search.options = DefaultStage(1 << 20).evolution;
  EXPECT_EQ(search.Run(), 672);
  EXPECT_EQ(DefaultStage(524288).evolution.Evaluations(), 1344);
}

TEST(Evolution, GenerationZeroIsTheSeedsThenMutantsOfThemInTurn) {
  Search search;
  ASSERT_EQ(search.Make().Draw(0, &search.population), 64);
  const auto& all = search.population.candidates();
  EXPECT_EQ(all[0].origin, Origin::kPi);
  EXPECT_EQ(all[1].origin, Origin::kNtk);
  EXPECT_EQ(all[2].origin, Origin::kYarn);
  std::set<int32_t> starts;
  for (size_t i = 3; i < 64; ++i) {
    EXPECT_EQ(all[i].origin, Origin::kSeedMutant);
    EXPECT_EQ(all[i].parents[0], static_cast<int64_t>((i - 3) % 3));
    starts.insert(all[i].genome.start_index);
  }
  EXPECT_GE(starts.size(), 12u);  // 61 uniform draws of 14 values
  for (size_t i = 0; i < 3; ++i) EXPECT_EQ(all[i].genome.start_index, 0);
}

TEST(Evolution, ParentsAreTheBestAndThoseOfACrossoverDistinct) {
  Search search;
  search.options.parents = 8;
  search.options.generations = 6;
  search.Run();
  // Replays: at every generation the parents were among the 8 best of those before.
  for (int generation = 1; generation <= 6; ++generation) {
    Population before(1, 0);
    for (const Candidate& c : search.population.candidates()) {
      if (c.generation >= generation) break;
      before.Add(c.generation, c.origin, c.parents, c.genome);
      before.SetScore(c.id, 0, *c.scores[0]);
    }
    auto best = before.Ranked();
    best.resize(8);
    const auto among_best = [&](int64_t id) { return std::ranges::find(best, id) != best.end(); };
    for (const Candidate& c : search.population.candidates()) {
      if (c.generation != generation) continue;
      EXPECT_TRUE(among_best(c.parents[0]));
      if (c.origin == Origin::kMutation) {
        EXPECT_EQ(c.parents[1], kNoParent);
      } else {
        EXPECT_TRUE(among_best(c.parents[1]));
        EXPECT_NE(c.parents[0], c.parents[1]);
        EXPECT_LE(*before.Fitness(c.parents[0]), *before.Fitness(c.parents[1]));  // better first
      }
    }
  }
}

TEST(Evolution, EveryGenerationHasItsMutantsAndCrossovers) {
  Search search;
  search.options.generations = 5;
  search.Run();
  for (int generation = 1; generation <= 5; ++generation) {
    int mutants = 0, crossovers = 0;
    for (const Candidate& c : search.population.candidates()) {
      if (c.generation != generation) continue;
      (c.origin == Origin::kMutation ? mutants : crossovers)++;
    }
    EXPECT_EQ(mutants, 16);
    EXPECT_EQ(crossovers, 16);
  }
}

TEST(Evolution, DrawsTheSameFromTheSamePopulationWhateverWasDrawnElsewhere) {
  Search one, two;
  one.Run();
  const Evolution evolution = two.Make();
  for (int generation = 0; generation <= 40; ++generation) {
    Population elsewhere(1, 0);
    two.Make().Draw(0, &elsewhere);
    evolution.Draw(generation, &two.population);
    two.Score();
  }
  ASSERT_EQ(one.population.candidates().size(), two.population.candidates().size());
  for (size_t i = 0; i < one.population.candidates().size(); ++i) {
    EXPECT_EQ(one.population.candidates()[i].genome, two.population.candidates()[i].genome);
  }
}

TEST(Evolution, ImprovesOnItsSeeds) {
  Search search;
  search.Run();
  const double best = *search.population.Fitness(search.population.Ranked().front());
  for (int64_t seed = 0; seed < 3; ++seed) EXPECT_LT(best, *search.population.Fitness(seed));
}

TEST(Evolution, ASmallSpaceIsExhaustedWithoutDuplicates) {
  SpaceOptions options;
  options.pairs = 2;
  options.bound = 1.02;
  options.start_tokens = {0};
  Search search;
  search.space = SearchSpace(options);  // 6 monotone pairs of 3 steps
  EXPECT_EQ(Evolution(search.space, search.options, {{Origin::kPi, {{0, 0}, 0, 0}}}, {}, 1, "s")
                .Draw(0, &search.population),
            6);
}

}  // namespace
}  // namespace longrope
