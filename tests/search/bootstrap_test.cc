#include "search/bootstrap.h"

#include <gtest/gtest.h>

#include <cmath>

#include "tests/support/compare.h"

namespace longrope {
namespace {

using testing::Close;

constexpr int64_t kResamples = 2000;

// Two methods whose nats per token differ by these amounts, seed by seed, document by document.
std::vector<PairedScores> Pairs(const std::vector<std::vector<double>>& differences) {
  std::vector<PairedScores> seeds;
  double level = 3;
  for (const auto& documents : differences) {
    PairedScores& seed = seeds.emplace_back();
    for (double difference : documents) {
      level += 0.37;  // documents differ by far more than methods do
      seed.second.push_back({level * 1000, 1000});
      seed.first.push_back({(level + difference) * 1000, 1000});
    }
  }
  return seeds;
}

Difference Of(const std::vector<PairedScores>& seeds, double confidence = 0.95) {
  Rng rng(1, "test", 0, 0);
  return BootstrapDifference(seeds, confidence, kResamples, rng);
}

TEST(Bootstrap, ADifferenceThatIsTheSameEverywhereIsCertain) {
  const Difference found = Of(Pairs({{-0.1, -0.1, -0.1}, {-0.1, -0.1}}));
  const double wanted = 100 * std::expm1(-0.1);
  EXPECT_TRUE(Close(found.percent, wanted, 1e-9));
  EXPECT_TRUE(Close(found.low, wanted, 1e-9));
  EXPECT_TRUE(Close(found.high, wanted, 1e-9));
}

// Each resampled difference is the mean of n independent draws of one seed's documents: the
// interval is that of a mean, +- 1.96 sd / sqrt(n) for many of them.
TEST(Bootstrap, TheIntervalIsThatOfAMean) {
  std::vector<double> documents;
  for (int i = 0; i < 64; ++i) documents.push_back(i % 2 == 0 ? -0.03 : 0.01);
  const Difference found = Of(Pairs({documents}));
  const double half = 1.96 * 0.02 / 8;
  EXPECT_TRUE(Close(found.percent, 100 * std::expm1(-0.01), 1e-6));
  EXPECT_TRUE(Close(found.low, 100 * std::expm1(-0.01 - half), 0.06));
  EXPECT_TRUE(Close(found.high, 100 * std::expm1(-0.01 + half), 0.06));
  const Difference narrower = Of(Pairs({documents}), 0.5);
  EXPECT_GT(narrower.low, found.low);
  EXPECT_LT(narrower.high, found.high);
}

TEST(Bootstrap, SeedsAreDrawnTooNotOnlyDocuments) {
  // Within a seed all documents agree: only the draw of seeds spreads.
  const Difference found = Of(Pairs({{-0.2, -0.2}, {0.2, 0.2}, {-0.2, -0.2}, {0.2, 0.2}}));
  EXPECT_TRUE(Close(found.percent, 0, 1e-9));
  EXPECT_LT(found.low, -15);
  EXPECT_GT(found.high, 15);
}

TEST(Bootstrap, TokensWeighDocumentsWithinASeed) {
  const std::vector<PairedScores> seeds = {{{{300, 100}, {10, 10}}, {{100, 100}, {10, 10}}}};
  EXPECT_TRUE(Close(Of(seeds).percent, 100 * std::expm1(200.0 / 110), 1e-9));
}

TEST(Bootstrap, TheEndsAreThoseOfTheSortedResamples) {
  // One seed, two documents: a resampled difference is -0.1, 0 or 0.1 with chances 1/4, 1/2, 1/4.
  const auto pairs = Pairs({{-0.1, 0.1}});
  EXPECT_TRUE(Close(Of(pairs, 0.4).low, 0, 1e-9));
  EXPECT_TRUE(Close(Of(pairs, 0.4).high, 0, 1e-9));
  EXPECT_TRUE(Close(Of(pairs, 0.6).low, 100 * std::expm1(-0.1), 1e-9));
  EXPECT_TRUE(Close(Of(pairs, 0.6).high, 100 * std::expm1(0.1), 1e-9));
}

TEST(Bootstrap, ScoresOfOtherDocumentsAreNoPairs) {
  auto pairs = Pairs({{-0.1, 0.2}});
  pairs[0].second.pop_back();
  EXPECT_THROW(Of(pairs), std::invalid_argument);
}

TEST(Bootstrap, AScoreThatIsNotFiniteIsNoDifference) {
  auto pairs = Pairs({{-0.1, 0.2}});
  pairs[0].first[1].nats = INFINITY;
  EXPECT_TRUE(std::isnan(Of(pairs).percent));
  EXPECT_TRUE(std::isnan(Of(pairs).low));
}

}  // namespace
}  // namespace longrope
