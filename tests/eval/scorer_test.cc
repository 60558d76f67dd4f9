#include "eval/scorer.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>

#include "eval/backend.h"
#include "eval/model/model_folder.h"
#include "tests/support/compare.h"
#include "tests/support/naive_transformer.h"
#include "tests/support/refusal.h"
#include "tests/support/temp_folder.h"

namespace longrope {
namespace {

using testing::CloseRelative;
using ::testing::HasSubstr;
using testing::RefusalOf;

constexpr int kPairs = 8;  // of the Mistral's head

RopeFactors Factors(float last, double m = 1) {
  RopeFactors factors{std::vector<float>(kPairs, 1.0f), 0, m};
  factors.lambda.back() = last;
  return factors;
}

std::vector<int32_t> Tokens(int64_t count, uint32_t seed) {
  std::vector<int32_t> tokens = {1};
  for (uint32_t state = seed; static_cast<int64_t>(tokens.size()) < count;) {
    state = state * 1664525u + 1013904223u;
    tokens.push_back(static_cast<int32_t>((state >> 8) % 288));
  }
  return tokens;
}

Document MakeDocument(const std::string& title, std::vector<int32_t> tokens) {
  std::string digest = TokensDigest(tokens);
  return {title, std::move(digest), 0, std::move(tokens)};
}

class ScorerTest : public ::testing::Test {
 protected:
  std::unique_ptr<Engine> engine_ = MakeEngine({.name = "reference", .threads = 2});
  ModelFolder folder_{testing::SourcePath("tests/golden/transformers/mistral"), {}};
  Scorer scorer_{*engine_, folder_, {}};
  std::vector<Document> documents_ = {MakeDocument("a", Tokens(90, 1)),
                                      MakeDocument("b", Tokens(60, 2))};
  ModelEvaluator evaluator_{scorer_, documents_, "digest of the model"};
  // Two candidates on both documents.
  std::vector<Task> tasks_ = {
      {7, 0, Factors(1)}, {7, 1, Factors(1)}, {9, 1, Factors(5)}, {9, 0, Factors(5)}};
};

TEST_F(ScorerTest, ScoreIsTheSumOfTheNaiveTransformersNats) {
  const auto tokens = Tokens(80, 3);
  const RopeFactors factors = Factors(4, 1.1);
  const Score score = *scorer_.ScoreTokens(tokens, factors);
  double expected = 0;
  for (double nats : testing::NaiveNats(folder_.config().shape, folder_, tokens, factors, 10000)) {
    expected += nats;
  }
  EXPECT_EQ(score.tokens, 79);
  EXPECT_TRUE(CloseRelative(score.nats, expected, 1e-4));
}

TEST_F(ScorerTest, OnlyTokensThatAreScoredCount) {
  const auto tokens = Tokens(80, 3);
  const RopeFactors factors = Factors(4, 1.1);
  const auto nats = *scorer_.TokenNats(tokens, factors);
  std::vector<uint8_t> scored(tokens.size());
  double expected = 0;
  scored[0] = 1;  // no loss belongs to it
  for (size_t i = 1; i < tokens.size(); i += 7) {
    scored[i] = 1;
    expected += nats[i - 1];
  }
  const Score score = *scorer_.ScoreTokens(tokens, factors, {}, scored);
  EXPECT_EQ(score.tokens, 12);
  EXPECT_TRUE(CloseRelative(score.nats, expected, 1e-12));
  // A document carries them to the evaluator.
  documents_[0].scored.assign(90, 0);
  documents_[0].scored[89] = 1;
  ModelEvaluator evaluator(scorer_, documents_, "digest of the model");
  evaluator.Run(std::span(tasks_).first(1),
                [&](const Task&, const Score& s) {
                  EXPECT_EQ(s.tokens, 1);
                  EXPECT_TRUE(CloseRelative(
                      s.nats, scorer_.TokenNats(documents_[0].tokens, Factors(1))->back(), 1e-12));
                },
                {});
}

TEST_F(ScorerTest, EachTokenHasItsNatsAndWhetherItIsTheLikeliest) {
  const RopeFactors factors = Factors(4, 1.1);
  auto tokens = Tokens(80, 3);
  const ModelShape& shape = folder_.config().shape;
  // Its own continuation of the first 79 tokens ends the text.
  tokens.back() = testing::NaiveScoresOf(shape, folder_, tokens, factors, 10000).likeliest.back();
  const auto naive = testing::NaiveScoresOf(shape, folder_, tokens, factors, 10000);
  const TokenScores scores = *scorer_.ScoreEachToken(tokens, factors);
  EXPECT_EQ(scores.nats, *scorer_.TokenNats(tokens, factors));
  for (size_t i = 0; i < scores.likeliest.size(); ++i) {
    EXPECT_EQ(scores.likeliest[i], tokens[i + 1] == naive.likeliest[i]) << i;
  }
  EXPECT_EQ(scores.likeliest.back(), 1);
  std::vector<uint8_t> scored(tokens.size());
  scored.back() = 1;
  const TokenScores last = *scorer_.ScoreEachToken(tokens, factors, {}, scored);
  EXPECT_EQ(std::ranges::count(last.likeliest, 1), 1);
  EXPECT_EQ(last.nats.back(), scores.nats.back());
  std::stop_source stop;
  stop.request_stop();
  EXPECT_FALSE(scorer_.ScoreEachToken(tokens, factors, stop.get_token()).has_value());
}

TEST_F(ScorerTest, SlidingWindowIsAnOption) {
  const auto tokens = Tokens(80, 3);
  const Scorer open(*engine_, folder_, {.sliding_window = false});
  ModelShape shape = folder_.config().shape;
  ASSERT_EQ(shape.sliding_window, 37);
  shape.sliding_window = 0;
  double expected = 0;
  for (double nats : testing::NaiveNats(shape, folder_, tokens, Factors(1), 10000)) {
    expected += nats;
  }
  EXPECT_TRUE(CloseRelative(open.ScoreTokens(tokens, Factors(1))->nats, expected, 1e-4));
  EXPECT_NE(*open.ScoreTokens(tokens, Factors(1)), *scorer_.ScoreTokens(tokens, Factors(1)));
}

TEST_F(ScorerTest, ScoreDoesNotDependOnTheMemoryAllowed) {
  const auto tokens = Tokens(300, 4);
  const auto need = [&](KvScope scope) {
    return PlanScope(*engine_, NeedsOf(folder_.config(), folder_.stored(), 300, 300), scope)
        .account.Total();
  };
  const Scorer tight(*engine_, folder_, {.memory_bytes = need(KvScope::kOneLayer)});
  ASSERT_EQ(tight.Plan(300).scope, KvScope::kOneLayer);
  ASSERT_EQ(scorer_.Plan(300).scope, KvScope::kAllLayers);
  EXPECT_EQ(*tight.ScoreTokens(tokens, Factors(2)), *scorer_.ScoreTokens(tokens, Factors(2)));
}

TEST_F(ScorerTest, RefusesDocumentsAndWeightsThatDoNotFit) {
  const Scorer tight(*engine_, folder_, {.memory_bytes = 3'000'000});
  EXPECT_NO_THROW(tight.Plan(100));
  EXPECT_THAT(RefusalOf([&] { tight.Plan(1'000'000); }), HasSubstr("backend.memory_gb"));
  EXPECT_THAT(RefusalOf([&] { tight.ScoreTokens(Tokens(50'000, 1), Factors(1)); }),
              HasSubstr("a document of 50000 tokens needs"));
  EXPECT_THAT(RefusalOf([&] { Scorer none(*engine_, folder_, {.memory_bytes = 1000}); }),
              HasSubstr("allowed are 1 MB"));
}

TEST_F(ScorerTest, AStopLeavesNoScore) {
  std::stop_source stop;
  stop.request_stop();
  EXPECT_EQ(scorer_.ScoreTokens(Tokens(80, 3), Factors(1), stop.get_token()), std::nullopt);
}

TEST_F(ScorerTest, EvaluatorCallsDoneOncePerTaskWithItsScore) {
  std::vector<std::pair<int64_t, int>> done;
  evaluator_.Run(tasks_,
                 [&](const Task& task, const Score& score) {
                   done.emplace_back(task.candidate, task.document);
                   const auto& tokens = documents_[static_cast<size_t>(task.document)].tokens;
                   EXPECT_EQ(score, *scorer_.ScoreTokens(tokens, task.factors));
                 },
                 {});
  EXPECT_THAT(done, ::testing::UnorderedElementsAre(std::pair(7, 0), std::pair(7, 1),
                                                    std::pair(9, 1), std::pair(9, 0)));
}

TEST_F(ScorerTest, EvaluatorLeavesOutTheTasksAfterAStop) {
  for (int allowed = 0; allowed <= 4; ++allowed) {
    std::stop_source stop;
    if (allowed == 0) stop.request_stop();
    int done = 0;
    evaluator_.Run(
        tasks_,
        [&](const Task&, const Score& score) {
          EXPECT_TRUE(std::isfinite(score.nats));
          if (++done == allowed) stop.request_stop();
        },
        stop.get_token());
    EXPECT_EQ(done, allowed);
  }
}

TEST_F(ScorerTest, EqualTasksGiveEqualBitsInAnyOrder) {
  const auto scores = [&](const std::vector<Task>& tasks) {
    std::map<std::pair<int64_t, int>, double> found;
    evaluator_.Run(tasks,
                   [&](const Task& task, const Score& score) {
                     found[{task.candidate, task.document}] = score.nats;
                   },
                   {});
    return found;
  };
  EXPECT_EQ(scores(tasks_), scores({tasks_.rbegin(), tasks_.rend()}));
}

TEST_F(ScorerTest, FingerprintTellsModelsDocumentsAndWindowsApart) {
  const FingerprintParts parts = evaluator_.Fingerprint();
  EXPECT_EQ(ModelEvaluator(scorer_, documents_, "digest of the model").Fingerprint(), parts);
  EXPECT_NE(ModelEvaluator(scorer_, documents_, "another").Fingerprint(), parts);
  EXPECT_NE(
      ModelEvaluator(scorer_, {documents_[1], documents_[0]}, "digest of the model").Fingerprint(),
      parts);
  EXPECT_NE(ModelEvaluator(scorer_, {documents_[0]}, "digest of the model").Fingerprint(), parts);
  auto changed = documents_;
  changed[1] = MakeDocument("b", Tokens(60, 5));
  EXPECT_NE(ModelEvaluator(scorer_, changed, "digest of the model").Fingerprint(), parts);
  changed = documents_;
  changed[1].scored.assign(60, 1);
  const auto scored = ModelEvaluator(scorer_, changed, "digest of the model").Fingerprint();
  EXPECT_NE(scored, parts);
  changed[1].scored[7] = 0;
  EXPECT_NE(ModelEvaluator(scorer_, changed, "digest of the model").Fingerprint(), scored);
  const Scorer open(*engine_, folder_, {.sliding_window = false});
  EXPECT_NE(ModelEvaluator(open, documents_, "digest of the model").Fingerprint(), parts);
  // How it is walked, and on how many threads, changes no bit.
  const auto one = MakeEngine({.name = "reference", .threads = 1});
  const Scorer other(*one, folder_, {.memory_bytes = 10'000'000});
  EXPECT_EQ(ModelEvaluator(other, documents_, "digest of the model").Fingerprint(), parts);
  std::vector<std::string> values;
  for (const auto& [name, value] : parts) values.push_back(value);
  EXPECT_THAT(values, ::testing::Contains(std::string(engine_->name())));
}

TEST(Score, PerplexityRanksWhatFailedLast) {
  EXPECT_TRUE(CloseRelative(Perplexity(20, 10), std::exp(2.0), 1e-15));
  EXPECT_EQ(Perplexity(0, 10), 1);
  for (double bad : {std::nan(""), static_cast<double>(INFINITY), -static_cast<double>(INFINITY)}) {
    EXPECT_EQ(Perplexity(bad, 10), INFINITY);
  }
  EXPECT_EQ(Perplexity(5, 0), INFINITY);
  EXPECT_EQ(Perplexity(1e30, 10), INFINITY);
}

}  // namespace
}  // namespace longrope
