#include "search/seeds.h"

#include <gtest/gtest.h>

#include <cmath>

#include "eval/errors.h"
#include "tests/search/small_space.h"

namespace longrope {
namespace {

SearchSpace Space(bool search_attention) {
  return testing::SmallSpace(search_attention, {0, 4, 16}, 1.4);
}

TEST(MethodSeeds, AreTheClosedFormsWithinHalfAGridStep) {
  const SearchSpace space = Space(true);
  const RopeShape shape{64, 10000, 256};
  const auto seeds = MethodSeeds({"yarn", "pi", "ntk"}, space, shape, 8, {});
  const RopeMethod methods[] = {RopeMethod::kYarn, RopeMethod::kPi, RopeMethod::kNtk};
  ASSERT_EQ(seeds.size(), 3u);
  EXPECT_EQ(seeds[0].origin, Origin::kYarn);
  EXPECT_EQ(seeds[2].origin, Origin::kNtk);
  for (size_t s = 0; s < 3; ++s) {
    const RopeFactors factors = space.Decode(seeds[s].genome);
    const auto exact = MethodLambda(methods[s], shape, 8, 256);
    for (size_t i = 0; i < 32; ++i) {
      EXPECT_LE(std::abs(static_cast<double>(factors.lambda[i]) - exact[i]), 0.005001);
    }
    EXPECT_EQ(factors.start_tokens, 0);
  }
  EXPECT_EQ(space.Decode(seeds[0].genome).attention_factor, 1.21);  // 0.1 ln 8 + 1 = 1.2079
  EXPECT_EQ(space.Decode(seeds[1].genome).attention_factor, 1);
}

TEST(MethodSeeds, RefusesOtherNames) {
  const SearchSpace space = Space(false);
  EXPECT_THROW(MethodSeeds({"dynamic-ntk"}, space, {64, 10000, 256}, 8, {}), InputError);
}

}  // namespace
}  // namespace longrope
