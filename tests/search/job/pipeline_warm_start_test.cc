// Stops and arrivals in a search that begins with a warm start and has every operator.
#include <gtest/gtest.h>

#include "tests/search/job/small_run.h"

namespace longrope {
namespace {

using testing::FinalFiles;
using testing::ScratchFolder;
using testing::SmallRun;
using testing::UndisturbedFiles;

Job WarmJob(const std::filesystem::path& folder) {
  Job job = testing::SmallJob(folder);
  StageOptions& stage = job.stages[0];
  stage.preset = "frugal";
  stage.attention = "search";
  stage.evolution = DefaultStage(stage.length, "frugal").evolution;
  stage.evolution.warm_start.evaluations = 20;
  stage.evolution.warm_start.batch = 5;
  stage.evolution.population = 5;
  stage.evolution.parents = 5;
  stage.evolution.generations = 3;
  stage.start_tokens = {0, 4, 16, 64};
  return job;
}

TEST(PipelineWarmStart, AStopAfterAnyScoreGivesEqualBytes) {
  const auto wanted = UndisturbedFiles(WarmJob(""));
  const ScratchFolder scratch;
  RunEnd end = RunEnd::kStopped;
  for (int64_t stop = 1; end != RunEnd::kDone; ++stop) {
    ASSERT_LT(stop, 1000);
    const auto folder = scratch / std::to_string(stop);
    SmallRun first(WarmJob(folder));
    first.StopAfter(stop);
    end = first.Start();
    if (end == RunEnd::kDone) break;
    SmallRun second(WarmJob(folder));  // nothing but the files goes over
    ASSERT_EQ(second.Resume(), RunEnd::kDone);
    ASSERT_EQ(FinalFiles(folder), wanted) << "stopped after " << stop;
  }
}

TEST(PipelineWarmStart, AnyOrderOfScoresAndAnyThreadsGiveEqualBytes) {
  const auto wanted = UndisturbedFiles(WarmJob(""));
  const ScratchFolder scratch;
  int number = 0;
  for (const int threads : {1, 2, 3}) {
    for (const auto arrival : {testing::Arrival::kReversed, testing::Arrival::kShuffled}) {
      const auto folder = scratch / std::to_string(number++);
      SmallRun run(WarmJob(folder));
      run.stages.evaluator.arrival = arrival;
      run.stages.evaluator.threads = threads;
      ASSERT_EQ(run.Start(), RunEnd::kDone);
      EXPECT_EQ(FinalFiles(folder), wanted) << threads << " threads";
    }
  }
}

TEST(PipelineWarmStart, TheHistoryNamesEveryOperatorAndTheSearchLearns) {
  const ScratchFolder scratch;
  Job job = WarmJob(scratch / "run");
  job.stages[0].evolution.generations = 12;
  SmallRun run(job);
  ASSERT_EQ(run.Start(), RunEnd::kDone);
  const std::string history = FinalFiles(scratch / "run").at("extend/history.csv");
  for (const char* origin :
       {",family,", ",start-sweep,", ",pi,", ",ntk,", ",yarn,", ",seed-mutant,", ",segment,",
        ",shift,", ",scalars,", ",blend,", ",prefix,"}) {
    EXPECT_NE(history.find(origin), std::string::npos) << origin;
  }
  for (const TableRow& row : run.table) {
    if (row.method == "searched") continue;
    EXPECT_GT(*row.fitness, *run.table.back().fitness) << row.method;
  }
}

TEST(PipelineWarmStart, ASpaceWithNothingButThePlainCurveIsNoEndlessSearch) {
  const ScratchFolder scratch;
  Job job = WarmJob(scratch / "run");
  job.stages[0].bound = 1.01;
  job.stages[0].attention = "none";
  job.stages[0].start_tokens = {0};
  SmallRun run(job);
  EXPECT_EQ(run.Start(), RunEnd::kDone);
}

}  // namespace
}  // namespace longrope
