#include "eval/rope_methods.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>

#include "tests/support/compare.h"
#include "tests/support/refusal.h"

namespace longrope {
namespace {

using testing::Close;
using testing::CloseRelative;
using ::testing::Each;
using ::testing::HasSubstr;
using testing::RefusalOf;

// LLaMA-2's.
const RopeShape kLlama{128, 10000, 4096};

// Ratio by which NTK stretches the slowest pair: its alpha.
double Alpha(const std::vector<double>& lambda) { return lambda.back(); }

TEST(RopeMethods, NoneKeepsAndPiStretchesEveryPair) {
  EXPECT_EQ(MethodLambda(RopeMethod::kNone, kLlama, 32, 9), std::vector<double>(64, 1.0));
  EXPECT_EQ(MethodLambda(RopeMethod::kPi, kLlama, 32, 9), std::vector<double>(64, 32.0));
}

TEST(RopeMethods, NtkKeepsTheFastestPairAndStretchesTheSlowestByTheRatio) {
  const auto lambda = MethodLambda(RopeMethod::kNtk, kLlama, 32, 9);
  ASSERT_EQ(lambda.size(), 64u);
  EXPECT_EQ(lambda[0], 1);
  EXPECT_TRUE(CloseRelative(lambda[63], 32, 1e-14));
  // s^(2i/126): a geometric row, so the middle is the square root.
  EXPECT_TRUE(CloseRelative(lambda[21] * lambda[42], 32, 1e-14));
  EXPECT_TRUE(CloseRelative(lambda[21], std::cbrt(32.0), 1e-14));
  // The base that NTK is told as, theta * s^(d / (d - 2)), gives the same frequencies.
  const double base = 10000 * std::pow(32.0, 128.0 / 126);
  for (int i : {1, 17, 40, 63}) {
    EXPECT_TRUE(CloseRelative(std::pow(10000.0, -i / 64.0) / lambda[static_cast<size_t>(i)],
                              std::pow(base, -i / 64.0), 1e-13));
  }
}

TEST(RopeMethods, NtkOfAHeadOfOnePairKeepsIt) {
  EXPECT_EQ(MethodLambda(RopeMethod::kNtk, {2, 10000, 4096}, 32, 9), std::vector<double>{1});
  EXPECT_EQ(MethodLambda(RopeMethod::kDynamicNtk, {2, 10000, 4096}, 32, 9), std::vector<double>{1});
}

TEST(RopeMethods, DynamicNtkIsNtkWithThePapersAlphaOfTheLength) {
  const auto alpha = [](double ratio, int64_t length) {
    return Alpha(MethodLambda(RopeMethod::kDynamicNtk, kLlama, ratio, length));
  };
  EXPECT_TRUE(CloseRelative(alpha(2, 8192), 3, 1e-13));    // 2 * 2 - 1
  EXPECT_TRUE(CloseRelative(alpha(4, 16384), 13, 1e-13));  // 4 * 4 - 3
  EXPECT_TRUE(CloseRelative(alpha(4, 8192), 5, 1e-13));    // 4 * 2 - 3
  // A text within the original length keeps plain RoPE.
  for (int64_t length : {1, 100, 4096}) EXPECT_EQ(alpha(4, length), 1) << length;
  EXPECT_GT(alpha(4, 4097), 1);
  const auto ntk = MethodLambda(RopeMethod::kNtk, kLlama, 13, 0);
  const auto dynamic = MethodLambda(RopeMethod::kDynamicNtk, kLlama, 4, 16384);
  for (size_t i = 0; i < 64; ++i) EXPECT_TRUE(CloseRelative(dynamic[i], ntk[i], 1e-13)) << i;
}

// Pairs that turn 32 times and once within 4096 tokens: 128 ln(4096/(2 pi b)) / (2 ln 10000)
// = 20.944 and 45.027.
TEST(RopeMethods, YarnRampsBetweenWholePairs) {
  const auto lambda = MethodLambda(RopeMethod::kYarn, kLlama, 64, 9);
  for (size_t i = 0; i <= 20; ++i) EXPECT_EQ(lambda[i], 1) << i;
  EXPECT_GT(lambda[21], 1);
  EXPECT_LT(lambda[45], 64);
  for (size_t i = 46; i < 64; ++i) EXPECT_TRUE(CloseRelative(lambda[i], 64, 1e-14)) << i;
  // Mid-ramp, r = 1/2: the mean of the frequencies, 2 / (1 + 1/64) and not (1 + 64) / 2.
  EXPECT_TRUE(CloseRelative(lambda[33], 128.0 / 65, 1e-14));
  EXPECT_TRUE(Close(lambda[33], 1.97, 0.005));
  // One of 26 steps: r = 25/26.
  EXPECT_TRUE(CloseRelative(lambda[21], 1 / (25.0 / 26 + 1.0 / 26 / 64), 1e-14));
  EXPECT_TRUE(CloseRelative(lambda[45], 1 / (1.0 / 26 + 25.0 / 26 / 64), 1e-13));
}

TEST(RopeMethods, YarnWithoutTruncationRampsBetweenRealNumbers) {
  const auto lambda = MethodLambda(RopeMethod::kYarn, kLlama, 64, 9, {.truncate = false});
  const double low = 20.944, high = 45.027;  // as above, rounded
  EXPECT_EQ(lambda[20], 1);
  EXPECT_TRUE(CloseRelative(lambda[46], 64, 1e-14));
  for (size_t i : {21u, 30u, 45u}) {
    const double kept = 1 - (static_cast<double>(i) - low) / (high - low);
    EXPECT_TRUE(CloseRelative(lambda[i], 1 / ((1 - kept) / 64 + kept), 2e-3)) << i;
  }
  EXPECT_NE(lambda, MethodLambda(RopeMethod::kYarn, kLlama, 64, 9));
}

TEST(RopeMethods, YarnReadsItsBetas) {
  const auto lambda =
      MethodLambda(RopeMethod::kYarn, kLlama, 8, 9, {.beta_fast = 128, .beta_slow = 2});
  // 128 ln(4096/(2 pi 128)) / (2 ln 10000) = 11.31, and 40.21 for 2.
  EXPECT_EQ(lambda[11], 1);
  EXPECT_GT(lambda[12], 1);
  EXPECT_LT(lambda[40], 8);
  EXPECT_TRUE(CloseRelative(lambda[41], 8, 1e-14));
}

TEST(RopeMethods, YarnClampsARampOutsideTheHead) {
  // Original length 4: not even the fastest pair turns once, or 32 times.
  const auto none = MethodLambda(RopeMethod::kYarn, {8, 10000, 4}, 4, 9);
  for (double value : none) EXPECT_TRUE(std::isfinite(value) && value >= 1 && value <= 4) << value;
  // A tremendous one: every pair turns more than 32 times.
  EXPECT_THAT(MethodLambda(RopeMethod::kYarn, {8, 10000, int64_t{1} << 32}, 4, 9), Each(1.0));
  // Equal betas: a step.
  const auto step = MethodLambda(RopeMethod::kYarn, kLlama, 4, 9,
                                 {.beta_fast = 7, .beta_slow = 7, .truncate = false});
  for (double value : step) {
    EXPECT_TRUE(value == 1 || CloseRelative(value, 4, 1e-14)) << value;
  }
}

TEST(RopeMethods, EveryMethodIsPlainAtRatioOneAndMonotoneAbove) {
  for (RopeMethod method : AllRopeMethods()) {
    for (double value : MethodLambda(method, kLlama, 1, 4096)) EXPECT_EQ(value, 1);
    const auto lambda = MethodLambda(method, kLlama, 16, 65536);
    EXPECT_TRUE(std::ranges::is_sorted(lambda)) << NameOf(method);
    EXPECT_GE(lambda.front(), 1) << NameOf(method);
  }
}

TEST(RopeMethods, HaveNamesThatAreReadBack) {
  for (RopeMethod method : AllRopeMethods()) EXPECT_EQ(RopeMethodNamed(NameOf(method)), method);
  EXPECT_EQ(AllRopeMethods().size(), 5u);
  EXPECT_THAT(RefusalOf([] { RopeMethodNamed("Yarn"); }),
              HasSubstr("unknown method 'Yarn'; allowed: none, pi, ntk, dynamic-ntk, yarn"));
}

TEST(RopeMethods, FactorsAreFloat32WithTheMethodsOwnAttentionFactor) {
  const RopeFactors yarn = MethodFactors(RopeMethod::kYarn, kLlama, 64, 9);
  EXPECT_TRUE(Close(yarn.attention_factor, 1.41589, 1e-5));  // 0.1 ln 64 + 1
  EXPECT_EQ(yarn.start_tokens, 0);
  EXPECT_EQ(yarn.lambda[33], static_cast<float>(128.0 / 65));
  EXPECT_EQ(MethodFactors(RopeMethod::kYarn, kLlama, 64, 9, {}, 1.25).attention_factor, 1.25);
  for (RopeMethod method :
       {RopeMethod::kNone, RopeMethod::kPi, RopeMethod::kNtk, RopeMethod::kDynamicNtk}) {
    EXPECT_EQ(MethodFactors(method, kLlama, 64, 9).attention_factor, 1) << NameOf(method);
    EXPECT_EQ(OwnAttentionFactor(method, 64), 1);
  }
}

TEST(AttentionFactor, FollowsItsPolicy) {
  using enum AttentionPolicy;
  // sqrt(1 + ln 32 / ln 4096) = sqrt(1 + 5/12).
  EXPECT_TRUE(CloseRelative(AttentionFactor(kLongrope, 32, 4096), std::sqrt(17.0 / 12), 1e-14));
  EXPECT_TRUE(CloseRelative(AttentionFactor(kLongrope, 8, 256), 1.17260394, 1e-8));
  EXPECT_TRUE(CloseRelative(AttentionFactor(kYarn, 32, 4096), 1.34657359, 1e-8));
  EXPECT_EQ(AttentionFactor(kNone, 32, 4096), 1);
  for (AttentionPolicy policy : {kLongrope, kYarn, kNone}) {
    EXPECT_EQ(AttentionFactor(policy, 1, 4096), 1);
    EXPECT_EQ(AttentionFactor(policy, 0.5, 4096), 1);
  }
}

}  // namespace
}  // namespace longrope
