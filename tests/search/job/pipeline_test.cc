#include "search/job/pipeline.h"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <sstream>

#include "eval/model/json_file.h"
#include "search/job/checkpoint.h"
#include "search/job/job_file.h"
#include "tests/search/job/small_run.h"
#include "tests/support/compare.h"
#include "tests/support/refusal.h"
#include "tests/support/temp_folder.h"

namespace longrope {
namespace {

using testing::BowlScore;
using testing::ScratchFolder;
using testing::SlurpFile;
using testing::SmallJob;
using testing::SmallRun;
using testing::TinyJob;

constexpr double kInfinity = std::numeric_limits<double>::infinity();

// Fields of history.csv, header left out.
std::vector<std::vector<std::string>> History(const SmallRun& run) {
  std::istringstream lines(SlurpFile(run.Path(kHistoryFile)));
  std::vector<std::vector<std::string>> rows;
  for (std::string line; std::getline(lines, line);) {
    std::istringstream fields(line);
    auto& row = rows.emplace_back();
    for (std::string field; std::getline(fields, field, ',');) row.push_back(field);
  }
  rows.erase(rows.begin());
  return rows;
}

TEST(Pipeline, RecordsHeldOutScoresOfTheBaselinesAndTheWinner) {
  const ScratchFolder scratch;
  SmallRun run(SmallJob(scratch / "run"));
  ASSERT_EQ(run.Start(), RunEnd::kDone);
  ASSERT_EQ(run.table.size(), 11u);
  const Json best = ParseJson(SlurpFile(run.Path(kBestFile)), "best");
  const auto perplexity = [](const RopeFactors& factors, int begin, int end) {
    double nats = 0;
    for (int d = begin; d < end; ++d) nats += BowlScore(factors, d).nats;
    return Perplexity(nats, 1000 * (end - begin));
  };
  const StagePlan plan = PlanStage(run.job.stages[0], {run.stages.shape});
  const auto baselines = StageBaselines(plan, plan.attention_factor);
  ASSERT_EQ(baselines.size(), 10u);
  for (size_t i = 0; i < 10; ++i) {
    EXPECT_EQ(*run.table[i].fitness, perplexity(baselines[i].factors, 0, 2));
    EXPECT_EQ(*run.table[i].held_out, perplexity(baselines[i].factors, 2, 3));
  }
  RopeFactors winner{{}, best["start_tokens"], best["attention_factor"]};
  for (const Json& value : best["lambda"]) winner.lambda.push_back(value.get<float>());
  EXPECT_EQ(run.table.back().method, "searched");
  EXPECT_EQ(*run.table.back().fitness, perplexity(winner, 0, 2));
  EXPECT_EQ(*run.table.back().held_out, perplexity(winner, 2, 3));
  EXPECT_EQ(best["perplexity"].get<double>(), *run.table.back().fitness);
}

TEST(Pipeline, ReportsProgressUpToWhatWasPlanned) {
  const ScratchFolder scratch;
  SmallRun run(SmallJob(scratch / "run"));
  ASSERT_EQ(run.Start(), RunEnd::kDone);
  ASSERT_EQ(run.observer.progress.size(), static_cast<size_t>(testing::kSmallScores));
  int64_t scores = 0;
  for (const Progress& progress : run.observer.progress) {
    EXPECT_EQ(progress.scores, ++scores);
    EXPECT_EQ(progress.planned_scores, testing::kSmallScores);
    EXPECT_EQ(progress.planned_evaluations, 18);
    EXPECT_EQ(progress.stage, "extend");
  }
  EXPECT_EQ(run.observer.progress.back().evaluations, 18);
  EXPECT_EQ(run.observer.progress.front().phase, Progress::Phase::kBaselines);
  EXPECT_EQ(run.observer.progress[static_cast<size_t>(testing::kSmallScores / 2)].phase,
            Progress::Phase::kSearch);
  EXPECT_EQ(run.observer.progress.back().phase, Progress::Phase::kHeldOut);
}

TEST(Pipeline, ABudgetOfEvaluationsCutsAGeneration) {
  const ScratchFolder scratch;
  for (const int64_t budget : {1, 5, 6, 7, 10, 17, 18, 100}) {
    SmallRun run(SmallJob(scratch / std::to_string(budget)));
    run.job.stages[0].max_evaluations = budget;
    ASSERT_EQ(run.Start(), RunEnd::kDone);
    const auto history = History(run);
    EXPECT_EQ(static_cast<int64_t>(history.size()), std::min<int64_t>(budget, 18));
    EXPECT_EQ(run.stages.evaluator.scores,
              PlanStage(run.job.stages[0], {run.stages.shape}).PlannedScores());
    EXPECT_TRUE(run.table.back().held_out.has_value());
  }
}

TEST(Pipeline, ABudgetOfHoursEndsAtAGeneration) {
  const ScratchFolder scratch;
  SmallRun run(SmallJob(scratch / "run"));
  run.job.stages[0].max_hours = 1;
  {
    RunFolder folder = RunFolder::Create(FileSystem::Real(), scratch / "run");
    folder.Begin(folder.Sub("extend"));
    folder.Sub("extend").Append(kTimesFile, "extend,0,0,3601\n");  // an hour is spent
  }
  ASSERT_EQ(run.Start(), RunEnd::kDone);
  EXPECT_EQ(History(run).size(), 6u);  // the first generation, whole
  EXPECT_TRUE(run.table.back().held_out.has_value());
  EXPECT_NE(run.observer.messages.back().find("hours"), std::string::npos);
  EXPECT_EQ(run.Resume(), RunEnd::kAlreadyDone);
  run.job.stages[0].max_hours = 100;
  ASSERT_EQ(run.Resume(), RunEnd::kDone);
  EXPECT_EQ(History(run).size(), 18u);
  EXPECT_EQ(testing::FinalFiles(scratch / "run").at("extend/history.csv"),
            testing::UndisturbedFiles(SmallJob("")).at("extend/history.csv"));
}

TEST(Pipeline, TimesCutOffByACrashAreNoHours) {
  const ScratchFolder scratch;
  SmallRun run(SmallJob(scratch / "run"));
  run.job.stages[0].max_hours = 1;
  {
    RunFolder folder = RunFolder::Create(FileSystem::Real(), scratch / "run");
    folder.Begin(folder.Sub("extend"));
    folder.Sub("extend").Append(
        kTimesFile, "extend,0,0,3\nextend,0\nextend,\nextend,1,0,nonsense\nextend,1,0,");
  }
  ASSERT_EQ(run.Start(), RunEnd::kDone);
  EXPECT_EQ(History(run).size(), 18u);
}

TEST(Pipeline, AnExhaustedSpaceEndsTheSearchEarly) {
  const ScratchFolder scratch;
  SmallRun run(SmallJob(scratch / "run"));
  run.job.stages[0].bound = 1;  // lambda is 1, only n-hat is free
  run.job.stages[0].start_tokens = {0, 4, 16, 64};
  ASSERT_EQ(run.Start(), RunEnd::kDone);
  EXPECT_EQ(History(run).size(), 4u);
  EXPECT_NE(run.observer.messages.back().find("no further candidate"), std::string::npos);
  EXPECT_EQ(run.Resume(), RunEnd::kAlreadyDone);
}

TEST(Pipeline, OneSingleCandidateIsASearchToo) {
  const ScratchFolder scratch;
  SmallRun run(SmallJob(scratch / "run"));
  run.job.stages[0].bound = 1;
  run.job.stages[0].start_tokens = {0};
  run.job.stages[0].held_out = 0;
  ASSERT_EQ(run.Start(), RunEnd::kDone);
  EXPECT_EQ(History(run).size(), 1u);
  EXPECT_FALSE(run.table.back().held_out.has_value());
}

// Losses that are not finite, or as large as float32 goes, rank last and stop nothing.
TEST(Pipeline, LossesThatAreNotFiniteRankLast) {
  const ScratchFolder scratch;
  int number = 0;
  for (const double bad : {std::nan(""), kInfinity, -kInfinity, 1e38, 1e308}) {
    for (const int document : {0, 1, 2}) {
      SmallRun run(SmallJob(scratch / std::to_string(number++)));
      run.stages.evaluator.score = [=](const RopeFactors& factors, int d) {
        Score score = BowlScore(factors, d);
        // Start tokens split the candidates in two; the seeds and baselines, with 0, are fine.
        if (d == document && factors.start_tokens >= 12) score.nats = bad;
        return score;
      };
      ASSERT_EQ(run.Start(), RunEnd::kDone);
      const auto history = History(run);
      ASSERT_EQ(history.size(), 18u);
      int infinite = 0;
      for (const auto& row : history) {
        const bool failed = std::stoll(row[5]) >= 12 && document < 2;
        EXPECT_EQ(row[7] == "inf", failed) << row[7];
        infinite += row[7] == "inf";
      }
      EXPECT_EQ(infinite > 0, document < 2);
      EXPECT_TRUE(std::isfinite(*run.table.back().fitness));
      EXPECT_EQ(run.Resume(), RunEnd::kAlreadyDone);
    }
  }
}

TEST(Pipeline, AFailedHeldOutScoreIsNullInJson) {
  const ScratchFolder scratch;
  SmallRun run(TinyJob(scratch / "run"));
  run.stages.evaluator.score = [](const RopeFactors& factors, int d) {
    return d == 1 ? Score{kInfinity, 10} : BowlScore(factors, d);
  };
  ASSERT_EQ(run.Start(), RunEnd::kDone);
  const Json factors = ParseJson(SlurpFile(run.Path(kFactorsFile)), "factors");
  EXPECT_TRUE(factors["scores"]["extend"]["held_out"].is_null());
  EXPECT_FALSE(factors["scores"]["extend"]["fitness"].is_null());
  EXPECT_NE(SlurpFile(run.Path(kTableFile)).find(",inf\n"), std::string::npos);
}

TEST(Pipeline, ASearchWithoutAnyFiniteLossIsRefusedInOneLine) {
  const ScratchFolder scratch;
  SmallRun run(TinyJob(scratch / "run"));
  run.stages.evaluator.score = [](const RopeFactors&, int) { return Score{std::nan(""), 10}; };
  EXPECT_REFUSED(run.Start(), "stage extend: the loss of every candidate is NaN or infinite");
  EXPECT_REFUSED(run.Resume(), "stage extend: the loss of every candidate is NaN or infinite");
}

TEST(Pipeline, ASearchWithoutAnyFiniteLossNamesTheBadWeight) {
  const ScratchFolder scratch;
  SmallRun run(TinyJob(scratch / "run"));
  run.stages.evaluator.score = [](const RopeFactors&, int) { return Score{std::nan(""), 10}; };
  run.stages.bad_weight = "model: tensor x is not finite";
  EXPECT_REFUSED(run.Start(), "model: tensor x is not finite");
  EXPECT_EQ(run.stages.evaluator.scores, 6);  // the baselines: no hours are spent on candidates
  EXPECT_REFUSED(run.Resume(), "model: tensor x is not finite");
  EXPECT_EQ(run.stages.evaluator.scores, 6);
}

TEST(Pipeline, OnResumeTooTheBadWeightIsNamed) {
  const ScratchFolder scratch;
  SmallRun run(TinyJob(scratch / "run"));
  run.stages.evaluator.score = [](const RopeFactors&, int) { return Score{kInfinity, 10}; };
  EXPECT_REFUSED(run.Start(), "every candidate");
  run.stages.bad_weight = "model: tensor x is not finite";
  EXPECT_REFUSED(run.Resume(), "model: tensor x is not finite");
}

TEST(Pipeline, BaselinesThatFailAloneStopNothing) {
  const ScratchFolder scratch;
  SmallRun run(TinyJob(scratch / "run"));
  run.job.stages[0].start_tokens = {4};  // no candidate has the baselines' 0
  run.stages.evaluator.score = [](const RopeFactors& factors, int d) {
    return factors.start_tokens == 0 ? Score{std::nan(""), 10} : BowlScore(factors, d);
  };
  ASSERT_EQ(run.Start(), RunEnd::kDone);
  EXPECT_EQ(run.table.front().fitness, kInfinity);
  EXPECT_TRUE(std::isfinite(*run.table.back().fitness));
}

TEST(Pipeline, ASearchedAttentionFactorIsTheBaselinesRunOne) {
  const ScratchFolder scratch;
  SmallRun run(SmallJob(scratch / "run"));
  run.job.stages[0].attention = "search";
  run.job.stages[0].evolution.generations = 12;
  ASSERT_EQ(run.Start(), RunEnd::kDone);
  const double m = run.table.back().attention_factor;
  ASSERT_NE(m, 1);
  int with_m = 0;
  for (const TableRow& row : run.table) {
    with_m += row.method.find("m of the run") != std::string::npos && row.attention_factor == m;
  }
  EXPECT_EQ(with_m, 5);
}

TEST(Pipeline, OnlyTheFilesMeantForThemHoldTimesAndPaths) {
  const ScratchFolder scratch;
  SmallRun run(SmallJob(scratch / "a-telling-name"));
  ASSERT_EQ(run.Start(), RunEnd::kDone);
  for (const auto& [name, content] : testing::FinalFiles(run.job.output.folder)) {
    for (const char* telling : {"a-telling-name", "/nowhere", "seconds", "/dev/"}) {
      EXPECT_EQ(content.find(telling), std::string::npos) << name << " holds " << telling;
    }
  }
}

// Hostile titles: no file of the run may become unreadable by them.
TEST(Pipeline, TitlesWithLineEndsAndBadBytesDoNoHarm) {
  const ScratchFolder scratch;
  SmallRun run(TinyJob(scratch / "run"));
  run.stages.evaluator.fingerprint.emplace_back("document 0", "a\nb\tc\\n, \"d\" 12ab");
  run.stages.evaluator.fingerprint.emplace_back("document 1", "\xff\xfe latin \xe9 34cd");
  run.StopAfter(7);
  ASSERT_EQ(run.Start(), RunEnd::kStopped);
  run.StopAfter(1000);
  ASSERT_EQ(run.Resume(), RunEnd::kDone);
  const Json corpus = ParseJson(SlurpFile(run.Path(kFactorsFile)), "factors")["corpus"]["extend"];
  EXPECT_EQ(corpus["fitness"][0]["title"], "a\nb\tc\\n, \"d\"");
  EXPECT_EQ(corpus["fitness"][0]["ids_sha256"], "12ab");
  EXPECT_EQ(corpus["held_out"][0]["ids_sha256"], "34cd");
  EXPECT_NO_THROW(ReadFactorFile(run.Path(kFactorsFile)));
}

TEST(Pipeline, WritesTheJobThatResumeReads) {
  const ScratchFolder scratch;
  SmallRun run(SmallJob(scratch / "run"));
  run.StopAfter(9);
  ASSERT_EQ(run.Start(), RunEnd::kStopped);
  const Job read = ReadJob(run.Path(kJobFile), {});
  EXPECT_EQ(JobText(read), JobText(run.job));
}

TEST(Pipeline, RefusesCandidatesThatAreNotInTheSpace) {
  const ScratchFolder scratch;
  SmallRun run(TinyJob(scratch / "run"));
  run.StopAfter(9);
  ASSERT_EQ(run.Start(), RunEnd::kStopped);
  // As a checkpoint whose identity is right and whose content is not: from another program version.
  StageRecord record = ReadCheckpoint(SlurpFile(run.Path(kCheckpointFile)), "c", run.job);
  Genome outside = record.state.population.candidates()[0].genome;
  outside.steps.back() = 1 << 20;
  ASSERT_TRUE(record.state.population.Add(0, Origin::kSeedMutant, {0, kNoParent}, outside));
  testing::WriteFile(run.Path(kCheckpointFile), WriteCheckpoint(record));
  EXPECT_REFUSED(run.Resume(), "is not in its search space");
}

}  // namespace
}  // namespace longrope
