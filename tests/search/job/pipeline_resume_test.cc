// A run that was stopped, at any moment and as often as one likes, ends in the bytes of one that
// was not.
#include <gtest/gtest.h>

#include <set>

#include "search/job/job_file.h"
#include "tests/search/job/small_run.h"
#include "tests/support/temp_folder.h"

namespace longrope {
namespace {

using testing::FinalFiles;
using testing::kSmallScores;
using testing::kTinyScores;
using testing::ScratchFolder;
using testing::SmallJob;
using testing::SmallRun;
using testing::TinyJob;
using testing::UndisturbedFiles;

TEST(PipelineResume, TheSmallJobMakesTheScoresThatTheTestsCountOn) {
  const ScratchFolder scratch;
  SmallRun run(SmallJob(scratch / "run"));
  EXPECT_EQ(run.Start(), RunEnd::kDone);
  EXPECT_EQ(run.stages.evaluator.scores, kSmallScores);
  std::vector<std::string> names;
  for (const auto& [name, content] : FinalFiles(run.job.output.folder)) names.push_back(name);
  EXPECT_EQ(names, (std::vector<std::string>{"extend/best.json", "extend/checkpoint.h5",
                                             "extend/factors.json", "extend/history.csv",
                                             "extend/table.csv", "factors.json", "table.csv"}));
}

TEST(PipelineResume, AfterAStopAtEveryScoreGivesEqualBytes) {
  const auto wanted = UndisturbedFiles(TinyJob(""));
  const ScratchFolder scratch;
  for (int64_t k = 0; k < kTinyScores; ++k) {
    SmallRun run(TinyJob(scratch / std::to_string(k)));
    run.StopAfter(k);
    ASSERT_EQ(run.Start(), RunEnd::kStopped) << k;
    EXPECT_EQ(run.stages.evaluator.scores, k);
    run.StopAfter(kTinyScores);
    ASSERT_EQ(run.Resume(), RunEnd::kDone) << k;
    // No score is lost, none is made twice.
    EXPECT_EQ(run.stages.evaluator.scores, kTinyScores);
    EXPECT_EQ(FinalFiles(run.job.output.folder), wanted) << "stopped after " << k;
  }
}

TEST(PipelineResume, InAnotherOrderAndThreadCountGivesEqualBytes) {
  const auto wanted = UndisturbedFiles(SmallJob(""));
  const ScratchFolder scratch;
  int number = 0;
  for (const int threads : {1, 2, 3}) {
    for (const auto arrival :
         {testing::Arrival::kInOrder, testing::Arrival::kReversed, testing::Arrival::kShuffled}) {
      for (const int64_t stop : {int64_t{1000}, int64_t{37}}) {
        const auto folder = scratch / std::to_string(number++);
        SmallRun first(SmallJob(folder));
        first.stages.evaluator.arrival = arrival;
        first.stages.evaluator.threads = threads;
        first.StopAfter(stop);
        ASSERT_EQ(first.Start(), stop > kSmallScores ? RunEnd::kDone : RunEnd::kStopped);
        SmallRun second(SmallJob(folder));  // as another process: nothing but the files goes over
        second.stages.evaluator.arrival = testing::Arrival::kReversed;
        second.stages.evaluator.threads = 4 - threads;
        second.job.backend.threads = threads;
        ASSERT_EQ(second.Resume(), stop > kSmallScores ? RunEnd::kAlreadyDone : RunEnd::kDone);
        EXPECT_EQ(FinalFiles(folder), wanted) << threads << " threads, stopped after " << stop;
      }
    }
  }
}

TEST(PipelineResume, ManyStopsGiveEqualBytes) {
  const auto wanted = UndisturbedFiles(SmallJob(""));
  const ScratchFolder scratch;
  for (const int64_t stride : {1, 5}) {
    const auto folder = scratch / std::to_string(stride);
    RunEnd end = RunEnd::kStopped;
    int64_t processes = 0, scores = 0;
    for (; end == RunEnd::kStopped && processes < 200; ++processes) {
      SmallRun run(SmallJob(folder));
      run.StopAfter(stride);
      end = run.Continue();
      scores += run.stages.evaluator.scores;
    }
    EXPECT_EQ(end, RunEnd::kDone);
    EXPECT_EQ(scores, kSmallScores);
    EXPECT_EQ(processes, (kSmallScores + stride - 1) / stride);
    EXPECT_EQ(FinalFiles(folder), wanted) << "every " << stride << " scores";
  }
}

TEST(PipelineResume, AStopBeforeTheFirstScoreLeavesARunThatCanGoOn) {
  const auto wanted = UndisturbedFiles(SmallJob(""));
  const ScratchFolder scratch;
  SmallRun run(SmallJob(scratch / "run"));
  run.StopAfter(0);
  EXPECT_EQ(run.Start(), RunEnd::kStopped);
  EXPECT_TRUE(std::filesystem::exists(run.Path(kJobFile)));
  run.StopAfter(kSmallScores);
  EXPECT_EQ(run.Resume(), RunEnd::kDone);
  EXPECT_EQ(FinalFiles(run.job.output.folder), wanted);
}

TEST(PipelineResume, OfAFinishedRunChangesNothingAndScoresNothing) {
  const ScratchFolder scratch;
  SmallRun run(SmallJob(scratch / "run"));
  ASSERT_EQ(run.Start(), RunEnd::kDone);
  const auto before = FinalFiles(run.job.output.folder);
  const auto table = TableCsv(run.table);
  EXPECT_EQ(run.Resume(), RunEnd::kAlreadyDone);
  EXPECT_EQ(run.stages.evaluator.scores, kSmallScores);
  EXPECT_EQ(FinalFiles(run.job.output.folder), before);
  EXPECT_EQ(TableCsv(run.table), table);
}

TEST(PipelineResume, OfAFinishedRunMakesLostResultFilesAnew) {
  const ScratchFolder scratch;
  SmallRun run(SmallJob(scratch / "run"));
  ASSERT_EQ(run.Start(), RunEnd::kDone);
  const auto before = FinalFiles(run.job.output.folder);
  for (const auto& [name, content] : before) {
    if (!name.ends_with(kCheckpointFile)) {
      std::filesystem::remove(scratch / "run" / name);
    }
  }
  EXPECT_EQ(run.Resume(), RunEnd::kAlreadyDone);
  EXPECT_EQ(FinalFiles(run.job.output.folder), before);
}

// Two stages: a stop in the second one must not disturb what the first one found.
TEST(PipelineResume, OfAJobWithTwoStagesGivesEqualBytes) {
  Job job = SmallJob("");
  job.stages.push_back(TinyJob("").stages[0]);
  job.stages[1].name = "further";
  job.stages[1].length = 4096;
  job.stages[1].attention = "search";
  const auto wanted = UndisturbedFiles(job);
  const ScratchFolder scratch;
  int64_t all = 0;
  {
    Job whole = job;
    whole.output.folder = (scratch / "whole").string();
    SmallRun run(whole);
    ASSERT_EQ(run.Start(), RunEnd::kDone);
    all = run.stages.evaluator.scores;
    ASSERT_GT(all, kSmallScores);
    EXPECT_EQ(run.table.size(), 10 + 1 + 10 + 1u);
  }
  for (int64_t k = kSmallScores - 2; k < all; k += 7) {
    Job stopped = job;
    stopped.output.folder = (scratch / std::to_string(k)).string();
    SmallRun run(stopped);
    run.StopAfter(k);
    ASSERT_EQ(run.Start(), RunEnd::kStopped);
    run.StopAfter(all);
    ASSERT_EQ(run.Resume(), RunEnd::kDone);
    EXPECT_EQ(run.stages.evaluator.scores, all);
    EXPECT_EQ(FinalFiles(run.job.output.folder), wanted) << "stopped after " << k;
  }
}

// Everything but the checkpoint, which also keeps the held-out scores of the earlier winner.
std::map<std::string, std::string> Results(const std::filesystem::path& folder) {
  auto files = FinalFiles(folder);
  files.erase("extend/" + std::string(kCheckpointFile));
  return files;
}

TEST(PipelineResume, WithMoreGenerationsGivesTheResultsOfThatManyFromTheStart) {
  const ScratchFolder scratch;
  for (const char* attention : {"longrope", "search"}) {
    Job job = SmallJob(scratch / (std::string("long-") + attention));
    job.stages[0].attention = attention;
    job.stages[0].evolution.generations = 7;
    SmallRun whole(job);
    ASSERT_EQ(whole.Start(), RunEnd::kDone);

    job.output.folder = (scratch / (std::string("raised-") + attention)).string();
    job.stages[0].evolution.generations = 2;
    SmallRun run(job);
    ASSERT_EQ(run.Start(), RunEnd::kDone);
    run.job.stages[0].evolution.generations = 4;
    ASSERT_EQ(run.Resume(), RunEnd::kDone);
    run.job.stages[0].evolution.generations = 7;
    ASSERT_EQ(run.Resume(), RunEnd::kDone);
    EXPECT_EQ(Results(run.job.output.folder), Results(whole.job.output.folder)) << attention;
  }
}

TEST(PipelineResume, WithMoreEvaluationsGivesTheResultsOfThatManyFromTheStart) {
  const ScratchFolder scratch;
  for (const int64_t less : {1, 6, 7, 10, 13}) {  // in, and at the end of, a generation
    Job job = SmallJob(scratch / ("whole" + std::to_string(less)));
    job.stages[0].max_evaluations = 15;
    SmallRun whole(job);
    ASSERT_EQ(whole.Start(), RunEnd::kDone);
    job.output.folder = (scratch / ("raised" + std::to_string(less))).string();
    job.stages[0].max_evaluations = less;
    SmallRun run(job);
    ASSERT_EQ(run.Start(), RunEnd::kDone);
    run.job.stages[0].max_evaluations = 15;
    ASSERT_EQ(run.Resume(), RunEnd::kDone);
    EXPECT_EQ(Results(run.job.output.folder), Results(whole.job.output.folder)) << less;
  }
}

TEST(PipelineResume, AcceptsOtherBudgetsThreadsPathsAndNames) {
  const ScratchFolder scratch;
  SmallRun run(SmallJob(scratch / "run"));
  run.StopAfter(20);
  ASSERT_EQ(run.Start(), RunEnd::kStopped);
  std::filesystem::rename(scratch / "run", scratch / "moved");
  run.job.output.folder = (scratch / "moved").string();
  run.job.name = "other";
  run.job.model.path = "/elsewhere";
  run.job.data.path = "/books";
  run.job.backend = {"reference", 3, "f32", 1.5};
  run.job.stages[0].max_evaluations = 1000;
  run.job.stages[0].max_hours = 1000;
  run.StopAfter(kSmallScores);
  EXPECT_EQ(run.Resume(), RunEnd::kDone);
  EXPECT_EQ(FinalFiles(run.job.output.folder), UndisturbedFiles(SmallJob("")));
  const Job kept = ReadJob(run.Path(kJobFile), {});
  EXPECT_EQ(kept.model.path, "/elsewhere");
  EXPECT_EQ(kept.output.folder, run.job.output.folder);
}

}  // namespace
}  // namespace longrope
