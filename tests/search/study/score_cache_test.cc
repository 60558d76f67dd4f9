#include "search/study/score_cache.h"

#include <gtest/gtest.h>

#include <cmath>
#include <set>

#include "tests/search/fake_evaluator.h"
#include "tests/support/temp_folder.h"

namespace longrope {
namespace {

using testing::TempFolder;

const FingerprintParts kParts = {
    {"model", "m"}, {"engine", "e"}, {"document 0", "a 1"}, {"document 1", "b 2"}};
const Task kTask{7, 1, {{1, 2.5f}, 4, 1.07}};

ScoreCache Open(const TempFolder& folder) {
  return ScoreCache(FileSystem::Real(), folder / "scores.csv");
}

TEST(ScoreCache, KeepsScoresToTheLastBit) {
  const TempFolder folder;
  const double numbers[] = {0.1 + 0.2, 1e-300, INFINITY, 123456789.123456789, -0.0};
  {
    ScoreCache cache = Open(folder);
    for (size_t i = 0; i < std::size(numbers); ++i) {
      cache.Add("key" + std::to_string(i), {numbers[i], 1023});
    }
    cache.Add("nan", {std::nan(""), 5});
  }
  const ScoreCache cache = Open(folder);
  EXPECT_EQ(cache.size(), 6u);
  for (size_t i = 0; i < std::size(numbers); ++i) {
    EXPECT_EQ(cache.Find("key" + std::to_string(i)), (Score{numbers[i], 1023}));
  }
  EXPECT_TRUE(std::isnan(cache.Find("nan")->nats));
  EXPECT_FALSE(cache.Find("other").has_value());
}

TEST(ScoreCache, ALineThatIsNoScoreIsNone) {
  constexpr const char* kNoScores[] = {"", "1", "1,", ",2", "1,2,3", "1,x", "x,2"};
  const TempFolder folder;
  {
    LineCache lines(FileSystem::Real(), folder / "scores.csv");
    for (size_t i = 0; i < std::size(kNoScores); ++i) lines.Add(std::to_string(i), kNoScores[i]);
  }
  const ScoreCache cache = Open(folder);
  EXPECT_EQ(cache.size(), std::size(kNoScores));
  for (size_t i = 0; i < std::size(kNoScores); ++i) {
    EXPECT_FALSE(cache.Find(std::to_string(i)).has_value()) << kNoScores[i];
  }
}

TEST(ScoreKey, DependsOnAllThatTheScoreDoes) {
  std::set<std::string> keys = {ScoreKey(kParts, kTask)};
  const auto expect_new = [&](const FingerprintParts& parts, const Task& task) {
    EXPECT_TRUE(keys.insert(ScoreKey(parts, task)).second);
  };
  for (const size_t part : {0, 1, 3}) {
    FingerprintParts parts = kParts;
    parts[part].second += "x";
    expect_new(parts, kTask);
  }
  Task task = kTask;
  task.document = 0;
  expect_new(kParts, task);
  task = kTask;
  task.factors.lambda[1] = std::nextafter(2.5f, 3.0f);
  expect_new(kParts, task);
  task = kTask;
  task.factors.start_tokens = 5;
  expect_new(kParts, task);
  task = kTask;
  task.factors.attention_factor = std::nextafter(1.07, 2.0);
  expect_new(kParts, task);
}

TEST(ScoreKey, DependsOnWhichTokensOfTheDocumentAreScored) {
  FingerprintParts parts = kParts;
  parts.emplace_back("document 1 scored", "12 abc");
  EXPECT_NE(ScoreKey(parts, kTask), ScoreKey(kParts, kTask));
  parts = kParts;
  parts.emplace_back("document 0 scored", "12 abc");
  EXPECT_EQ(ScoreKey(parts, kTask), ScoreKey(kParts, kTask)) << "another document's";
}

TEST(ScoreKey, DoesNotDependOnTheCandidateOrOnOtherDocuments) {
  Task task = kTask;
  task.candidate = 1;
  EXPECT_EQ(ScoreKey(kParts, task), ScoreKey(kParts, kTask));
  // The same document at another place, beside another one.
  task.document = 0;
  EXPECT_EQ(
      ScoreKey({{"model", "m"}, {"engine", "e"}, {"document 0", "b 2"}, {"document 1", "c"}}, task),
      ScoreKey(kParts, kTask));
}

TEST(CachedStages, AskTheModelOnlyForWhatIsNotThere) {
  const TempFolder folder;
  ScoreCache cache = Open(folder);
  testing::FakeStages stages;
  CachedStages cached(stages, cache);
  EXPECT_EQ(cached.current(), nullptr);
  Evaluator* const given = cached.For({}, "", {});
  ASSERT_NE(given, nullptr);
  EXPECT_EQ(cached.current(), given);
  Evaluator& evaluator = *given;
  std::vector<Task> tasks = {kTask, kTask};
  tasks[1].document = 0;
  std::vector<Score> scores;
  const auto done = [&](const Task&, const Score& score) { scores.push_back(score); };
  evaluator.Run(std::span(tasks).first(1), done, {});
  EXPECT_EQ(stages.evaluator.scores, 1);
  evaluator.Run(tasks, done, {});
  EXPECT_EQ(stages.evaluator.scores, 2);
  ASSERT_EQ(scores.size(), 3u);
  EXPECT_EQ(scores[0], scores[1]);
  std::stop_source stopped;
  stopped.request_stop();
  evaluator.Run(tasks, done, stopped.get_token());
  EXPECT_EQ(scores.size(), 3u) << "a stop is heeded even where everything is there";
}

}  // namespace
}  // namespace longrope
