#include "search/racing.h"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>

#include "tests/support/compare.h"

namespace longrope {
namespace {

using testing::Close;

Scores Losses(std::vector<double> nats, size_t documents = 4) {
  Scores scores(documents);
  for (size_t i = 0; i < nats.size(); ++i) scores[i] = Score{nats[i], 100};
  return scores;
}

StopReason Race(std::vector<double> nats, std::vector<double> rival,
                std::optional<double> confidence = {}) {
  const int met = static_cast<int>(nats.size()), documents = static_cast<int>(rival.size());
  return longrope::Race(Losses(std::move(nats)), Losses(std::move(rival)), met, documents,
                        {confidence});
}

TEST(Race, StopsForCertainOnlyWhatHasMoreLossThanTheRivalInAll) {
  EXPECT_EQ(Race({399}, {100, 100, 100, 100}), StopReason::kNone);
  EXPECT_EQ(Race({400}, {100, 100, 100, 100}), StopReason::kNone);  // a tie may still be ranked in
  EXPECT_EQ(Race({400.5}, {100, 100, 100, 100}), StopReason::kCertain);
  EXPECT_EQ(Race({200, 200, 0.5}, {100, 100, 100, 100}), StopReason::kCertain);
}

TEST(Race, NeverStopsOneThatMetNothingOrEverything) {
  EXPECT_EQ(Race({}, {1, 1, 1, 1}, 0.5), StopReason::kNone);
  EXPECT_EQ(Race({9, 9, 9, 9}, {1, 1, 1, 1}, 0.5), StopReason::kNone);
}

TEST(Race, ALossThatIsNotFiniteIsCertainlyWorse) {
  EXPECT_EQ(Race({std::nan("")}, {100, 100, 100, 100}), StopReason::kCertain);
  EXPECT_EQ(Race({1, INFINITY}, {100, 100, 100, 100}), StopReason::kCertain);
}

TEST(Race, ARivalWithoutAFiniteLossStopsNobody) {
  EXPECT_EQ(Race({1e9}, {100, 100, std::nan(""), 100}), StopReason::kNone);
  EXPECT_EQ(Race({std::nan("")}, {INFINITY, 1, 1, 1}, 0.9), StopReason::kNone);
}

TEST(Race, ATestOfOneDocumentIsNoTest) {
  EXPECT_EQ(Race({150}, {100, 100, 100, 100}, 0.5), StopReason::kNone);
}

// Differences 10, 12, 14: mean 12, standard error 2 / sqrt(3), t = 10.392, P = 0.99542 (two
// degrees: 0.5 + t / (2 sqrt(t^2 + 2))).
TEST(Race, StopsForLikelyAtTheStatedConfidence) {
  const std::vector<double> nats = {110, 112, 114}, rival = {100, 100, 100, 100};
  EXPECT_EQ(Race(nats, rival), StopReason::kNone);
  EXPECT_EQ(Race(nats, rival, 0.9953), StopReason::kLikely);
  EXPECT_EQ(Race(nats, rival, 0.9956), StopReason::kNone);
}

TEST(Race, PairsDocumentsSoThatTheirOwnDifferencesDoNotCount) {
  EXPECT_EQ(Race({151, 351, 11.01}, {150, 350, 10, 90}, 0.999), StopReason::kLikely);
}

TEST(Race, NeverStopsTheBetterForLikely) {
  EXPECT_EQ(Race({90, 80, 95}, {100, 100, 100, 100}, 0.5), StopReason::kNone);
  EXPECT_EQ(Race({100, 100}, {100, 100, 100, 100}, 0.5), StopReason::kNone);
}

TEST(Race, EqualDifferencesAreBeyondChance) {
  EXPECT_EQ(Race({101, 101}, {100, 100, 100, 100}, 0.999999), StopReason::kLikely);
}

// Quantiles of the table in Abramowitz and Stegun (26.10).
TEST(StudentCdf, AgreesWithTheTables) {
  const struct {
    int degrees;
    double t, probability;
  } kTable[] = {{1, 6.314, 0.95},  {2, 2.920, 0.95},   {3, 2.353, 0.95},   {4, 2.132, 0.95},
                {5, 2.015, 0.95},  {6, 1.943, 0.95},   {7, 1.895, 0.95},   {9, 2.821, 0.99},
                {10, 2.764, 0.99}, {29, 2.756, 0.995}, {30, 2.750, 0.995}, {120, 1.980, 0.975}};
  for (const auto& row : kTable) {
    EXPECT_TRUE(Close(StudentCdf(row.t, row.degrees), row.probability, 1e-4)) << row.degrees;
    EXPECT_TRUE(Close(StudentCdf(-row.t, row.degrees), 1 - row.probability, 1e-4)) << row.degrees;
  }
  EXPECT_TRUE(Close(StudentCdf(0, 3), 0.5, 1e-15));
  EXPECT_TRUE(Close(StudentCdf(INFINITY, 4), 1, 1e-15));
  EXPECT_TRUE(Close(StudentCdf(1, 1), 0.75, 1e-15));  // Cauchy: 1/2 + atan(1) / pi
}

}  // namespace
}  // namespace longrope
