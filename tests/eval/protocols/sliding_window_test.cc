#include "eval/protocols/sliding_window.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <stdexcept>

#include "eval/backend.h"
#include "eval/model/model_folder.h"
#include "eval/scorer.h"
#include "tests/support/compare.h"
#include "tests/support/naive_transformer.h"
#include "tests/support/refusal.h"
#include "tests/support/temp_folder.h"

namespace longrope {
namespace {

using ::testing::ElementsAre;

std::vector<int32_t> Positions(int64_t count) {
  std::vector<int32_t> ids;
  for (int32_t i = 0; i < count; ++i) ids.push_back(i);
  return ids;
}

TEST(WindowsOver, BeginAStrideApartAndScoreWhatIsNew) {
  EXPECT_THAT(WindowsOver(10, {4, 2}), ElementsAre(TextWindow{0, 1, 4}, TextWindow{2, 4, 6},
                                                   TextWindow{4, 6, 8}, TextWindow{6, 8, 10}));
  EXPECT_THAT(WindowsOver(9, {4, 3}),  // the last one is shorter
              ElementsAre(TextWindow{0, 1, 4}, TextWindow{3, 4, 7}, TextWindow{6, 7, 9}));
}

TEST(WindowsOver, OfAShortDocumentAreOne) {
  for (const int64_t tokens : {2, 3, 4}) {
    EXPECT_THAT(WindowsOver(tokens, {4, 1}), ElementsAre(TextWindow{0, 1, tokens}));
  }
  EXPECT_THAT(WindowsOver(5, {INT64_MAX, INT64_MAX}), ElementsAre(TextWindow{0, 1, 5}));
}

TEST(WindowsOver, SideBySideTheyLoseTheTokensThatBeginThem) {
  EXPECT_THAT(WindowsOver(11, {4, 4}),
              ElementsAre(TextWindow{0, 1, 4}, TextWindow{4, 5, 8}, TextWindow{8, 9, 11}));
  // Of a last window of one token nothing is left.
  EXPECT_THAT(WindowsOver(9, {4, 4}), ElementsAre(TextWindow{0, 1, 4}, TextWindow{4, 5, 8}));
}

// By the definition, for everything small.
TEST(WindowsOver, ScoreEveryTokenOnceInTheFirstWindowThatHoldsIt) {
  for (int64_t window = 2; window <= 9; ++window) {
    for (int64_t stride = 1; stride <= window; ++stride) {
      for (int64_t tokens = 2; tokens <= 40; ++tokens) {
        SCOPED_TRACE(::testing::Message() << tokens << ", " << window << ", " << stride);
        const auto windows = WindowsOver(tokens, {window, stride});
        std::vector<int> times(static_cast<size_t>(tokens));
        for (size_t i = 0; i < windows.size(); ++i) {
          const auto [begin, first, end] = windows[i];
          ASSERT_EQ(begin, static_cast<int64_t>(i) * stride);
          ASSERT_EQ(end, std::min(begin + window, tokens));
          ASSERT_GT(first, begin);
          for (int64_t token = first; token < end; ++token) {
            ++times[static_cast<size_t>(token)];
            ASSERT_TRUE(i == 0 || windows[i - 1].end <= token);
          }
        }
        for (int64_t token = 0; token < tokens; ++token) {
          const bool begins = stride == window ? token % window == 0 : token == 0;
          ASSERT_EQ(times[static_cast<size_t>(token)], begins ? 0 : 1) << token;
        }
        for (size_t i = 0; i + 1 < windows.size(); ++i) ASSERT_LT(windows[i].end, tokens);
      }
    }
  }
}

TEST(WindowsOver, RefuseWhatIsNotAWindow) {
  EXPECT_REFUSED(WindowsOver(10, {1, 1}), "window of 1 tokens: allowed: at least 2");
  EXPECT_REFUSED(WindowsOver(10, {-4, 1}), "window of -4 tokens");
  EXPECT_REFUSED(WindowsOver(10, {4, 0}), "stride of 0 tokens: allowed: 1 to the window's 4");
  EXPECT_REFUSED(WindowsOver(10, {4, 5}), "stride of 5 tokens: allowed: 1 to the window's 4");
  EXPECT_REFUSED(ScoreInWindows(Positions(10), {4, 5}, {}), "stride of 5");
  EXPECT_NO_THROW(CheckSlidingWindow({2, 2}));
  for (const int64_t tokens : {0, 1}) {
    EXPECT_THROW(WindowsOver(tokens, {4, 2}), std::invalid_argument);
  }
}

TEST(ScoreInWindows, ReadsEachWindowByItselfAndAddsUpWhatIsScored) {
  std::vector<std::vector<int32_t>> texts;
  std::vector<std::vector<uint8_t>> masks;
  const auto score = ScoreInWindows(Positions(9), {4, 3},
                                    [&](std::span<const int32_t> tokens,
                                        std::span<const uint8_t> scored) -> std::optional<Score> {
                                      texts.emplace_back(tokens.begin(), tokens.end());
                                      masks.emplace_back(scored.begin(), scored.end());
                                      Score part;
                                      for (size_t i = 0; i < tokens.size(); ++i) {
                                        part.nats += scored[i] * std::exp2(tokens[i]);
                                        part.tokens += scored[i];
                                      }
                                      return part;
                                    });
  EXPECT_THAT(texts,
              ElementsAre(ElementsAre(0, 1, 2, 3), ElementsAre(3, 4, 5, 6), ElementsAre(6, 7, 8)));
  EXPECT_THAT(masks,
              ElementsAre(ElementsAre(0, 1, 1, 1), ElementsAre(0, 1, 1, 1), ElementsAre(0, 1, 1)));
  EXPECT_EQ(*score, (Score{510, 8}));  // every position from 1 to 8 once
}

TEST(ScoreInWindows, AStopIsAStopAndALossThatIsNotFiniteStaysSo) {
  for (int allowed = 0; allowed <= 3; ++allowed) {
    int calls = 0;
    const auto score =
        ScoreInWindows(Positions(9), {4, 3}, [&](auto, auto) -> std::optional<Score> {
          if (calls++ == allowed) return std::nullopt;
          return Score{1, 1};
        });
    EXPECT_EQ(score.has_value(), allowed == 3);
    EXPECT_EQ(calls, std::min(allowed + 1, 3));
  }
  int calls = 0;
  const auto score = ScoreInWindows(Positions(9), {4, 3}, [&](auto, auto) {
    return std::optional(Score{++calls == 2 ? NAN : 1.0, 1});
  });
  EXPECT_EQ(Perplexity(score->nats, score->tokens), INFINITY);
}

// A model with a window of its own, factors that differ by position: every pass begins at 0.
TEST(ScoreInWindows, OnAModelIsTheNaiveTransformerOnEachWindow) {
  const ModelFolder folder(testing::SourcePath("tests/golden/transformers/mistral"), {});
  const auto engine = MakeEngine({.name = "reference", .threads = 2});
  const Scorer scorer(*engine, folder, {});
  RopeFactors factors{std::vector<float>(8, 1.0f), 5, 1.1};
  factors.lambda.back() = 4;
  std::vector<int32_t> tokens = {1};
  for (int i = 1; i < 150; ++i) tokens.push_back(i * i % 288);
  const auto score = [&](auto part, auto scored) {
    return scorer.ScoreTokens(part, factors, {}, scored);
  };
  for (const SlidingWindow options : {SlidingWindow{60, 25}, {60, 60}, {149, 1}}) {
    double expected = 0;
    int64_t count = 0;
    for (const auto& [begin, first, end] : WindowsOver(150, options)) {
      const std::vector<int32_t> text(tokens.begin() + begin, tokens.begin() + end);
      const auto nats = testing::NaiveNats(folder.config().shape, folder, text, factors, 10000);
      for (int64_t i = first; i < end; ++i) expected += nats[static_cast<size_t>(i - begin - 1)];
      count += end - first;
    }
    const Score total = *ScoreInWindows(tokens, options, score);
    EXPECT_EQ(total.tokens, count);
    EXPECT_TRUE(testing::CloseRelative(total.nats, expected, 1e-5));
  }
  // One window that holds all is the plain pass, bit for bit.
  EXPECT_EQ(*ScoreInWindows(tokens, {200, 7}, score), *scorer.ScoreTokens(tokens, factors));
  std::stop_source stop;
  stop.request_stop();
  EXPECT_FALSE(ScoreInWindows(tokens, {60, 25}, [&](auto part, auto scored) {
                 return scorer.ScoreTokens(part, factors, stop.get_token(), scored);
               }).has_value());
}

}  // namespace
}  // namespace longrope
