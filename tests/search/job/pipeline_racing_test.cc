// Races within a search: what they stop, what they never change, and stops in their middle.
#include <gtest/gtest.h>

#include "search/job/checkpoint.h"
#include "search/job/job_file.h"
#include "search/job/search_stage.h"
#include "search/racing.h"
#include "tests/search/job/small_run.h"

namespace longrope {
namespace {

using testing::FinalFiles;
using testing::ScratchFolder;
using testing::SmallRun;
using testing::UndisturbedFiles;

// Losses that differ by more than those of books do, the first document's the largest, so that
// races end early.
Score SteepScore(const RopeFactors& factors, int document) {
  const Score bowl = testing::BowlScore(factors, document);
  return {std::exp(bowl.nats / 500) * (document == 0 ? 10 : 1), bowl.tokens};
}

Job RacingJob(const std::filesystem::path& folder, std::optional<double> confidence) {
  Job job = testing::SmallJob(folder);
  StageOptions& stage = job.stages[0];
  stage.documents = 4;
  stage.evolution.parents = 3;
  stage.evolution.generations = 5;
  stage.evolution.mutations = stage.evolution.crossovers = 3;
  stage.evolution.crossover.rate = 0.3;
  stage.race_confidence = confidence;
  return job;
}

struct RacingRun : SmallRun {
  explicit RacingRun(Job the_job) : SmallRun(std::move(the_job)) {
    stages.evaluator.score = SteepScore;
  }
  StageState State() const {
    const auto folder = Path(kCheckpointFile).parent_path();
    return LoadNewestCheckpoint(folder, job, [](const std::string&) {})->record.state;
  }
};

std::map<std::string, std::string> Undisturbed(const Job& job) {
  const ScratchFolder scratch;
  Job there = job;
  there.output.folder = (scratch / "run").string();
  RacingRun run(there);
  EXPECT_EQ(run.Start(), RunEnd::kDone);
  return FinalFiles(there.output.folder);
}

int64_t Stopped(const StageState& state, StopReason reason) {
  return std::ranges::count(state.population.candidates(), reason, &Candidate::stopped);
}

TEST(PipelineRacing, WhatIsCertainChangesNothingButTheCost) {
  const ScratchFolder scratch;
  RacingRun run(RacingJob(scratch / "run", {}));
  ASSERT_EQ(run.Start(), RunEnd::kDone);
  const StageState raced = run.State();
  EXPECT_GT(Stopped(raced, StopReason::kCertain), 3);
  EXPECT_EQ(Stopped(raced, StopReason::kLikely), 0);

  // The same search, every candidate evaluated whole.
  const StagePlan plan = PlanStage(run.job.stages[0], {run.stages.shape});
  const Evolution evolution(plan.space, plan.options.evolution, plan.seeds, plan.family,
                            static_cast<uint64_t>(run.job.seed), "extend");
  Population whole(4, 1);
  for (int generation = 0; generation <= 5; ++generation) {
    evolution.Draw(generation, &whole);
    for (const Candidate& candidate : whole.candidates()) {
      for (int document = 0; document < 4; ++document) {
        whole.SetScore(candidate.id, document,
                       SteepScore(plan.space.Decode(candidate.genome), document));
      }
    }
  }
  ASSERT_EQ(whole.candidates().size(), raced.population.candidates().size());
  for (const Candidate& candidate : whole.candidates()) {
    const Candidate& other = raced.population.candidates()[static_cast<size_t>(candidate.id)];
    EXPECT_EQ(candidate.genome, other.genome) << candidate.id;
    EXPECT_EQ(candidate.parents, other.parents) << candidate.id;
  }
  EXPECT_EQ(whole.Ranked().front(), raced.Winner()->id);
  EXPECT_LT(raced.population.SettledScores(), 4 * whole.SettledCount());
}

TEST(PipelineRacing, ATestStopsMoreAndEveryStopHasItsReasonAndScores) {
  const ScratchFolder scratch;
  RacingRun run(RacingJob(scratch / "run", 0.8));
  ASSERT_EQ(run.Start(), RunEnd::kDone);
  const StageState state = run.State();
  EXPECT_GT(Stopped(state, StopReason::kCertain), 0);
  EXPECT_GT(Stopped(state, StopReason::kLikely), 0);
  const auto scored = [](const auto& score) { return score.has_value(); };
  for (const Candidate& candidate : state.population.candidates()) {
    const auto met = std::count_if(candidate.scores.begin(), candidate.scores.begin() + 4, scored);
    if (candidate.stopped == StopReason::kNone) {
      EXPECT_EQ(met, 4);
      continue;
    }
    EXPECT_GE(met, candidate.stopped == StopReason::kLikely ? 2 : 1);
    EXPECT_LT(met, 4);
    EXPECT_FALSE(state.population.Fitness(candidate.id).has_value());
    EXPECT_GT(candidate.generation, 0) << "nothing to race against";
  }
  const std::string history = FinalFiles(scratch / "run").at("extend/history.csv");
  EXPECT_NE(history.find(",,certain,"), std::string::npos);
  EXPECT_NE(history.find(",,likely,"), std::string::npos);
  const StagePlan plan = PlanStage(run.job.stages[0], {run.stages.shape});
  EXPECT_NE(OperatorText({plan, state}).find("racing stopped"), std::string::npos);
}

TEST(PipelineRacing, AStopAfterAnyScoreGivesEqualBytes) {
  const auto wanted = Undisturbed(RacingJob("", 0.8));
  const ScratchFolder scratch;
  RunEnd end = RunEnd::kStopped;
  for (int64_t stop = 1; end != RunEnd::kDone; ++stop) {
    ASSERT_LT(stop, 1000);
    const auto folder = scratch / std::to_string(stop);
    RacingRun first(RacingJob(folder, 0.8));
    first.StopAfter(stop);
    end = first.Start();
    if (end == RunEnd::kDone) break;
    RacingRun second(RacingJob(folder, 0.8));
    ASSERT_EQ(second.Resume(), RunEnd::kDone);
    ASSERT_EQ(FinalFiles(folder), wanted) << "stopped after " << stop;
  }
}

TEST(PipelineRacing, AnyOrderOfScoresAndAnyThreadsGiveEqualBytes) {
  const auto wanted = Undisturbed(RacingJob("", 0.8));
  const ScratchFolder scratch;
  int number = 0;
  for (const int threads : {1, 3}) {
    for (const auto arrival : {testing::Arrival::kReversed, testing::Arrival::kShuffled}) {
      const auto folder = scratch / std::to_string(number++);
      RacingRun run(RacingJob(folder, 0.8));
      run.stages.evaluator.arrival = arrival;
      run.stages.evaluator.threads = threads;
      ASSERT_EQ(run.Start(), RunEnd::kDone);
      EXPECT_EQ(FinalFiles(folder), wanted) << threads << " threads";
    }
  }
}

// A kill between the last score and the record of what it decided: the checkpoint before is what a
// resumed run finds.
TEST(PipelineRacing, AStopThatWasNotRecordedAnyMoreIsDecidedAgain) {
  int last_were_stops = 0;
  for (int64_t seed = 1; seed <= 12; ++seed) {
    const ScratchFolder scratch;
    Job job = RacingJob(scratch / "run", 0.8);
    job.seed = seed;
    job.stages[0].held_out = 0;
    job.stages[0].attention = "none";
    RacingRun run(job);
    ASSERT_EQ(run.Start(), RunEnd::kDone);
    const auto wanted = FinalFiles(scratch / "run");
    const auto score_of_last = run.State().population.candidates().back().stopped;
    last_were_stops += score_of_last != StopReason::kNone;
    std::filesystem::rename(run.Path(kPreviousCheckpointFile), run.Path(kCheckpointFile));
    RacingRun resumed(job);
    resumed.Resume();
    EXPECT_EQ(FinalFiles(scratch / "run"), wanted) << "seed " << seed;
  }
  EXPECT_GT(last_were_stops, 0);
}

TEST(PipelineRacing, ARaisedBudgetGivesTheResultsOfThatManyFromTheStart) {
  const ScratchFolder scratch;
  Job job = RacingJob(scratch / "once", 0.8);
  job.stages[0].max_evaluations = 22;
  RacingRun once(job);
  ASSERT_EQ(once.Start(), RunEnd::kDone);
  job.output.folder = (scratch / "twice").string();
  job.stages[0].max_evaluations = 11;
  RacingRun first(job);
  ASSERT_EQ(first.Start(), RunEnd::kDone);
  job.stages[0].max_evaluations = 22;
  RacingRun second(job);
  ASSERT_EQ(second.Resume(), RunEnd::kDone);
  for (const char* file : {"extend/history.csv", "table.csv", "extend/best.json", "factors.json"}) {
    EXPECT_EQ(FinalFiles(scratch / "twice").at(file), FinalFiles(scratch / "once").at(file))
        << file;
  }
}

TEST(PipelineRacing, ABudgetCountsScoresSoThatSavedOnesBuyCandidates) {
  const ScratchFolder scratch;
  for (const int64_t evaluations : {7, 8, 13, 19, 24, 30}) {
    const auto folder = scratch / std::to_string(evaluations);
    Job job = RacingJob(folder, 0.8);
    job.stages[0].max_evaluations = evaluations;
    RacingRun run(job);
    ASSERT_EQ(run.Start(), RunEnd::kDone);
    const Population population = run.State().population;
    EXPECT_LE(population.SettledScores(), 4 * evaluations);
    const bool all = population.SettledCount() == 36;
    EXPECT_TRUE(all || population.SettledScores() > 4 * evaluations - 4) << evaluations;
    EXPECT_GE(population.SettledCount(), evaluations);
    if (evaluations == 19) {
      EXPECT_GT(population.SettledCount(), evaluations);
    }

    // Stopped at a score and resumed, the budget reaches the same candidates.
    for (const int64_t stop : {55, 64, 71, 83}) {
      Job again = job;
      again.output.folder =
          (scratch / (std::to_string(evaluations) + "-" + std::to_string(stop))).string();
      RacingRun first(again);
      first.StopAfter(stop);
      if (first.Start() == RunEnd::kDone) continue;
      RacingRun second(again);
      ASSERT_EQ(second.Resume(), RunEnd::kDone);
      EXPECT_EQ(FinalFiles(again.output.folder), FinalFiles(folder)) << evaluations << " " << stop;
    }
  }
}

TEST(PipelineRacing, TheWarmStartIsNotRaced) {
  const ScratchFolder scratch;
  Job job = RacingJob(scratch / "run", 0.6);
  job.stages[0].evolution.warm_start.evaluations = 16;
  RacingRun run(job);
  ASSERT_EQ(run.Start(), RunEnd::kDone);
  const StageState state = run.State();
  for (const Candidate& candidate : state.population.candidates()) {
    if (candidate.origin == Origin::kFamily) {
      EXPECT_EQ(candidate.stopped, StopReason::kNone);
    }
  }
}

}  // namespace
}  // namespace longrope
