#include "search/curve_family.h"

#include <gtest/gtest.h>

#include <cmath>

#include "eval/rope_methods.h"
#include "search/rng.h"
#include "tests/search/small_space.h"
#include "tests/support/compare.h"

namespace longrope {
namespace {

using testing::CloseRelative;

constexpr RopeShape kShape{64, 10000, 256};
constexpr double kRatio = 8;

SearchSpace Space(bool search_attention) {
  return testing::SmallSpace(search_attention, {0, 4, 16});
}

TEST(CurveFamily, YarnIsAMember) {
  const auto yarn = MethodLambda(RopeMethod::kYarn, kShape, kRatio, 2048);
  // Ends of YaRN's ramp for this model: pairs that turn 32 times and once within 256 tokens.
  const RampCurve curve{.start = 0, .width = 13, .end_scale = kRatio};
  const auto lambda = CurveLambda(curve, 32);
  for (size_t i = 0; i < 32; ++i) EXPECT_TRUE(CloseRelative(lambda[i], yarn[i], 1e-12)) << i;
}

TEST(CurveFamily, PiIsAMember) {
  for (double value : CurveLambda({.start = -2, .width = 1, .end_scale = kRatio}, 32)) {
    EXPECT_TRUE(CloseRelative(value, kRatio, 1e-12));
  }
}

// The best of four parameters comes within an eighth of NTK everywhere.
TEST(CurveFamily, NtkIsNearOne) {
  const auto ntk = MethodLambda(RopeMethod::kNtk, kShape, kRatio, 2048);
  double nearest = INFINITY;
  for (double start = -6; start <= 0; start += 0.5) {
    for (double width = 30; width <= 48; width += 1) {
      for (double scale = 7; scale <= 14; scale += 0.5) {
        for (double curvature = 0.3; curvature <= 1.2; curvature += 0.05) {
          const auto lambda = CurveLambda({start, width, scale, curvature, 1}, 32);
          double worst = 0;
          for (size_t i = 0; i < 32; ++i) {
            worst = std::max(worst, std::abs(std::log(lambda[i] / ntk[i])));
          }
          nearest = std::min(nearest, worst);
        }
      }
    }
  }
  EXPECT_LT(nearest, 0.125);
}

TEST(CurveFamily, APointOfZerosIsTheCentreAndStepsMoveItsParameters) {
  const SearchSpace space = Space(true);
  const RampCurve centre{3, 9, 8, 1, 1.08};
  const CurveFamily family(space, centre, {});
  ASSERT_EQ(family.dimension(), 5);
  const RampCurve same = family.At(std::vector<double>(5, 0.0));
  EXPECT_EQ(same.start, 3);
  EXPECT_EQ(same.width, 9);
  EXPECT_EQ(same.attention_factor, 1.08);
  const RampCurve moved = family.At(std::vector<double>{1, -1, 2, 1, -1});
  EXPECT_DOUBLE_EQ(moved.start, 7);
  EXPECT_DOUBLE_EQ(moved.width, 9 * std::exp(-0.5));
  EXPECT_DOUBLE_EQ(moved.end_scale, 8 * std::exp(0.4));
  EXPECT_DOUBLE_EQ(moved.curvature, std::exp(0.4));
  EXPECT_DOUBLE_EQ(moved.attention_factor, 1.03);
}

TEST(CurveFamily, EveryPointHoweverFarIsAMemberOfTheSpace) {
  for (bool search_attention : {false, true}) {
    const SearchSpace space = Space(search_attention);
    const CurveFamily family(space, CentreCurve(kShape, kRatio, 1.17), {});
    EXPECT_EQ(family.dimension(), search_attention ? 5 : 4);
    for (uint32_t i = 0; i < 20000; ++i) {
      Rng rng(1, "points", 0, i);
      std::vector<double> point;
      const double spread = i % 100 == 0 ? 1000 : 2;
      for (int k = 0; k < family.dimension(); ++k) point.push_back(spread * rng.Normal());
      ASSERT_TRUE(space.Contains(family.GenomeAt(point))) << i;
    }
  }
}

TEST(CentreCurve, IsYarnsRampForTheModel) {
  const RampCurve centre = CentreCurve(kShape, kRatio, 1.16);
  EXPECT_TRUE(CloseRelative(centre.start + centre.width, 12.87, 1e-3));  // 32 log_10000(256 / 2 pi)
  EXPECT_GE(centre.start, 0);
  EXPECT_EQ(centre.end_scale, kRatio);
  EXPECT_DOUBLE_EQ(centre.attention_factor, 1.08);
  const RampCurve llama = CentreCurve({128, 10000, 4096}, 64, 1.2);
  EXPECT_TRUE(CloseRelative(llama.start + llama.width, 45.03, 1e-3));  // 64 log_10000(4096 / 2 pi)
}

}  // namespace
}  // namespace longrope
