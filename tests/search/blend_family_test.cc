#include "search/blend_family.h"

#include <gtest/gtest.h>

#include <cmath>

#include "tests/search/small_space.h"
#include "tests/support/compare.h"

namespace longrope {
namespace {

using testing::CloseRelative;

const std::vector<float> kExtended = [] {
  std::vector<float> lambda;
  for (int i = 0; i < 32; ++i) lambda.push_back(static_cast<float>(1 + 0.25 * i));
  return lambda;
}();

TEST(BlendLambda, GoesFromTheFastBlendToTheSlowOneAlongTheRamp) {
  const auto lambda = BlendLambda({.start = 8, .width = 16, .fast = 0, .slow = 1}, kExtended);
  for (size_t i = 0; i < 32; ++i) {
    const double blend = std::clamp((static_cast<double>(i) - 8) / 16, 0.0, 1.0);
    EXPECT_TRUE(CloseRelative(lambda[i], std::pow(double{kExtended[i]}, blend), 1e-12)) << i;
  }
}

TEST(BlendLambda, OfEqualBlendsIsAGeometricBlendOfAll) {
  for (double value : BlendLambda({.fast = 0, .slow = 0}, kExtended)) EXPECT_EQ(value, 1);
  const auto whole = BlendLambda({.fast = 1, .slow = 1}, kExtended);
  for (size_t i = 0; i < 32; ++i) EXPECT_TRUE(CloseRelative(whole[i], kExtended[i], 1e-12));
}

TEST(BlendFamily, StepsMoveTheParametersOfTheCentre) {
  const SearchSpace space = testing::SmallSpace(true, {0, 4, 16});
  const BlendRamp centre{
      .start = 2, .width = 20, .fast = 0.4, .slow = 0.6, .attention_factor = 1.1};
  const BlendFamily family(space, kExtended, centre, {});
  EXPECT_EQ(family.dimension(), 5);
  const BlendRamp moved = family.At(std::vector<double>{1, -1, 2, -1, 1});
  EXPECT_EQ(moved.start, 6);
  EXPECT_TRUE(CloseRelative(moved.width, 20 * std::exp(-0.5), 1e-12));
  EXPECT_TRUE(CloseRelative(moved.slow, 1.0, 1e-12));
  EXPECT_TRUE(CloseRelative(moved.fast + 1, 1.0, 1e-12));
  EXPECT_TRUE(CloseRelative(moved.attention_factor, 1.15, 1e-12));
  EXPECT_EQ(BlendFamily(testing::SmallSpace(false, {0}), kExtended, centre, {}).dimension(), 4);
}

}  // namespace
}  // namespace longrope
