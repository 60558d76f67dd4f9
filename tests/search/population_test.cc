#include "search/population.h"

#include <gtest/gtest.h>

#include <cmath>

namespace longrope {
namespace {

Genome Of(int32_t step) { return {{step}, 0, 0}; }

TEST(Population, HoldsEveryGenomeOnce) {
  Population population(1, 0);
  EXPECT_TRUE(population.Add(0, Origin::kPi, {kNoParent, kNoParent}, Of(1)));
  EXPECT_FALSE(population.Add(0, Origin::kNtk, {kNoParent, kNoParent}, Of(1)));
  EXPECT_TRUE(population.Add(1, Origin::kMutation, {0, kNoParent}, Of(2)));
  EXPECT_EQ(population.candidates().size(), 2u);
  EXPECT_EQ(population.candidates()[1].id, 1);
}

TEST(Population, PerplexityIsOfTotalNatsPerTotalTokens) {
  Population population(2, 1);
  population.Add(0, Origin::kPi, {kNoParent, kNoParent}, Of(1));
  population.SetScore(0, 0, {10, 5});
  EXPECT_EQ(population.Fitness(0), std::nullopt);
  population.SetScore(0, 1, {20, 15});
  EXPECT_DOUBLE_EQ(*population.Fitness(0), std::exp(30.0 / 20));
  EXPECT_EQ(population.HeldOut(0), std::nullopt);
  population.SetScore(0, 2, {8, 4});
  EXPECT_DOUBLE_EQ(*population.HeldOut(0), std::exp(2.0));
  EXPECT_DOUBLE_EQ(*population.Fitness(0), std::exp(30.0 / 20));  // held-out does not rank
}

TEST(Population, RanksByPerplexityThenIdWithFailuresLast) {
  const double nats[] = {5, NAN, 3, INFINITY, 3, -INFINITY, 1e308};
  Population population(1, 0);
  for (int32_t i = 0; i < 7; ++i) {
    population.Add(0, Origin::kPi, {kNoParent, kNoParent}, Of(i));
    population.SetScore(i, 0, {nats[i], 4});
  }
  population.Add(0, Origin::kPi, {kNoParent, kNoParent}, Of(9));  // not evaluated: not ranked
  EXPECT_EQ(population.Ranked(), (std::vector<int64_t>{2, 4, 0, 1, 3, 5, 6}));
}

TEST(Origins, HaveDistinctNames) {
  std::vector<std::string_view> names;
  for (int i = 0; i < kOrigins; ++i) {
    for (std::string_view other : names) EXPECT_NE(NameOf(static_cast<Origin>(i)), other);
    names.push_back(NameOf(static_cast<Origin>(i)));
    EXPECT_FALSE(names.back().empty());
  }
}

}  // namespace
}  // namespace longrope
