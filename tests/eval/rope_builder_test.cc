#include "eval/rope_builder.h"

#include <gtest/gtest.h>

#include <cmath>

#include "tests/support/compare.h"

namespace longrope {
namespace {

using testing::Close;

const RopeShape kLlama{128, 10000, 4096};

RopeFactors Factors(int pairs, double top, int64_t start_tokens, double m) {
  RopeFactors factors{{}, start_tokens, m};
  for (int i = 0; i < pairs; ++i) {
    factors.lambda.push_back(static_cast<float>(std::pow(top, i / (pairs - 1.0))));
  }
  return factors;
}

// n * base^(-2i/d) / lambda by 64 bits of mantissa: eleven more than the builder has.
long double ExactAngle(const RopeFactors& f, const RopeShape& shape, int pair, int64_t n) {
  const long double frequency =
      std::exp(-2.0L * pair / shape.head_dim * std::log(static_cast<long double>(shape.base)));
  const long double plain = static_cast<long double>(n) * frequency;
  return n < f.start_tokens ? plain : plain / f.lambda[static_cast<size_t>(pair)];
}

TEST(RopeBuilder, RotationsNearTwoMillionAreExactToOneInAMillion) {
  // Only the end of a long table is looked at; one head of 8 pairs keeps it small.
  constexpr int64_t kEnd = 2'000'000 + 48'576;
  const RopeShape shape{16, 10000, 4096};
  const RopeFactors factors = Factors(8, 512, 0, 1);
  const RopeTable table = BuildRopeTable(factors, shape, kEnd, 2);
  ASSERT_EQ(table.cos.size(), static_cast<size_t>(kEnd * 8));
  double worst = 0;
  for (int64_t n = 1'999'000; n < kEnd; n += 17) {
    for (int pair = 0; pair < 8; ++pair) {
      const long double angle = ExactAngle(factors, shape, pair, n);
      const auto at = static_cast<size_t>(n * 8 + pair);
      const double off_cos = static_cast<double>(std::abs(table.cos[at] - std::cos(angle)));
      const double off_sin = static_cast<double>(std::abs(table.sin[at] - std::sin(angle)));
      ASSERT_TRUE(Close(off_cos, 0, 1e-6)) << n << " " << pair;
      ASSERT_TRUE(Close(off_sin, 0, 1e-6)) << n << " " << pair;
      worst = std::max({worst, off_cos, off_sin});
    }
  }
  EXPECT_LT(worst, 1e-7);  // float32's own rounding and nothing else
}

TEST(RopeBuilder, AnglesNearTwoMillionAreExactForEveryPairOfALargeHead) {
  const RopeFactors factors = Factors(64, 640, 0, 1);
  for (int64_t n : {1'999'999, 2'000'000, 2'097'151}) {
    for (int pair = 0; pair < 64; ++pair) {
      const double exact = static_cast<double>(ExactAngle(factors, kLlama, pair, n));
      EXPECT_TRUE(Close(RopeAngle(factors, kLlama, pair, n), exact, 1e-8)) << n << " " << pair;
    }
  }
}

TEST(RopeBuilder, LambdaTakesEffectAtStartTokensAndNotBefore) {
  const RopeShape shape{4, 100, 0};
  const RopeFactors factors{{2.0f, 5.0f}, 3, 1};
  for (int64_t n = 0; n < 6; ++n) {
    const auto position = static_cast<double>(n);
    EXPECT_TRUE(Close(RopeAngle(factors, shape, 0, n), n < 3 ? position : position / 2, 1e-14));
    EXPECT_TRUE(Close(RopeAngle(factors, shape, 1, n), position / (n < 3 ? 10 : 50), 1e-14));
  }
}

TEST(RopeBuilder, TableHoldsCosAndSinOfItsAnglesTimesM) {
  const RopeShape shape{6, 10000, 0};
  for (int64_t start : {0, 1, 7, 1024, 5000}) {
    const RopeFactors factors = Factors(3, 7.5, start, 1.17);
    const RopeTable table = BuildRopeTable(factors, shape, 2100, 1);
    ASSERT_EQ(table.positions, 2100);
    ASSERT_EQ(table.pairs, 3);
    for (int64_t n = 0; n < 2100; ++n) {
      for (int pair = 0; pair < 3; ++pair) {
        const double angle = RopeAngle(factors, shape, pair, n);
        const auto at = static_cast<size_t>(n * 3 + pair);
        ASSERT_EQ(table.cos[at], static_cast<float>(std::cos(angle) * 1.17)) << n;
        ASSERT_EQ(table.sin[at], static_cast<float>(std::sin(angle) * 1.17)) << n;
      }
    }
  }
}

TEST(RopeBuilder, LambdaOneIsPlainWhateverStartTokens) {
  const RopeFactors plain{std::vector<float>(64, 1.0f), 0, 1};
  const RopeTable expected = BuildRopeTable(plain, kLlama, 300, 2);
  for (int64_t start : {1, 256, 1000}) {
    const RopeTable table = BuildRopeTable({plain.lambda, start, 1}, kLlama, 300, 2);
    EXPECT_EQ(table.cos, expected.cos);
    EXPECT_EQ(table.sin, expected.sin);
  }
}

TEST(RopeBuilder, BitsDoNotDependOnThreadsNorOnTheTablesLength) {
  const RopeFactors factors = Factors(64, 100, 28, 1.1);
  const RopeTable expected = BuildRopeTable(factors, kLlama, 5000, 1);
  for (int threads : {2, 3, 8}) {
    const RopeTable table = BuildRopeTable(factors, kLlama, 5000, threads);
    EXPECT_EQ(table.cos, expected.cos) << threads;
    EXPECT_EQ(table.sin, expected.sin) << threads;
  }
  for (int64_t positions : {1, 1023, 1024, 1025}) {
    const RopeTable table = BuildRopeTable(factors, kLlama, positions, 2);
    EXPECT_TRUE(std::equal(table.cos.begin(), table.cos.end(), expected.cos.begin()));
    EXPECT_TRUE(std::equal(table.sin.begin(), table.sin.end(), expected.sin.begin()));
  }
}

TEST(RopeBuilder, BytesAreThoseOfTheTable) {
  const RopeTable table = BuildRopeTable(Factors(64, 4, 0, 1), kLlama, 777, 1);
  EXPECT_EQ(RopeTableBytes(kLlama, 777),
            static_cast<int64_t>((table.cos.size() + table.sin.size()) * sizeof(float)));
  EXPECT_TRUE(BuildRopeTable(Factors(64, 4, 0, 1), kLlama, 0, 1).cos.empty());
}

TEST(RopeBuilder, RefusesFactorsOfAnotherHead) {
  for (int pairs : {2, 63, 65, 128}) {
    EXPECT_THROW(BuildRopeTable(Factors(pairs, 4, 0, 1), kLlama, 10, 1), std::invalid_argument);
  }
}

}  // namespace
}  // namespace longrope
