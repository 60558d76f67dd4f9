#include "search/rng.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <set>

namespace longrope {
namespace {

TEST(Rng, IsAFunctionOfItsFourArguments) {
  const auto first = [](Rng rng) { return rng.Next(); };
  const uint32_t base = first(Rng(1, "a", 2, 3));
  EXPECT_EQ(base, first(Rng(1, "a", 2, 3)));
  std::set<uint32_t> others = {base,
                               first(Rng(2, "a", 2, 3)),
                               first(Rng(1, "b", 2, 3)),
                               first(Rng(1, "a", 3, 3)),
                               first(Rng(1, "a", 2, 4)),
                               first(Rng(1ull << 40, "a", 2, 3))};
  EXPECT_EQ(others.size(), 6u);
}

TEST(Rng, BelowIsUniform) {
  Rng rng(5, "uniform", 0, 0);
  constexpr uint32_t kCount = 7;
  constexpr int kDraws = 70000;
  int counts[kCount] = {};
  for (int i = 0; i < kDraws; ++i) ++counts[rng.Below(kCount)];
  double chi = 0;
  for (int count : counts) chi += std::pow(count - 10000, 2) / 10000.0;
  EXPECT_LT(chi, 22.5);  // 6 degrees of freedom: exceeded once in a thousand seeds
  EXPECT_EQ(rng.Below(1), 0u);
}

TEST(Rng, ChanceHappensAsOftenAsAsked) {
  Rng rng(6, "chance", 0, 0);
  int happened = 0;
  for (int i = 0; i < 100000; ++i) happened += rng.Chance(0.3);
  EXPECT_NEAR(happened, 30000, 600);  // four standard deviations
  EXPECT_FALSE(rng.Chance(0));
  EXPECT_TRUE(rng.Chance(1));
}

TEST(RandomOrder, IsAPermutationAndReachesEveryOne) {
  std::set<std::vector<size_t>> seen;
  for (uint32_t child = 0; child < 500; ++child) {
    Rng rng(7, "order", 0, child);
    auto order = RandomOrder(4, rng);
    seen.insert(order);
    std::ranges::sort(order);
    EXPECT_EQ(order, (std::vector<size_t>{0, 1, 2, 3}));
  }
  EXPECT_EQ(seen.size(), 24u);
}

}  // namespace
}  // namespace longrope
