// What a run does not let happen to its results.
#include <gtest/gtest.h>

#include <cerrno>

#include "tests/search/job/small_run.h"
#include "tests/support/refusal.h"
#include "tests/support/temp_folder.h"

namespace longrope {
namespace fs = std::filesystem;
namespace {

using testing::FinalFiles;
using testing::ScratchFolder;
using testing::SmallJob;
using testing::SmallRun;
using testing::UndisturbedFiles;

Job TwoStages(const fs::path& folder) {
  Job job = SmallJob(folder);
  job.stages.push_back(job.stages[0]);
  job.stages[1].name = "further";
  job.stages[1].length *= 2;
  return job;
}

TEST(PipelineGuard, AFinishedStageOfAnotherModelIsNotJoinedByNewOnes) {
  const ScratchFolder scratch;
  SmallRun run(TwoStages(scratch / "run"));
  run.StopAfter(testing::kSmallScores + 3);
  ASSERT_EQ(run.Start(), RunEnd::kStopped);
  run.stages.evaluator.fingerprint[0].second = "another";
  run.StopAfter(1000);
  EXPECT_REFUSED(run.Resume(), "stage extend began with another model");
  run.stages.evaluator.fingerprint[0].second = "fake";
  EXPECT_EQ(run.Resume(), RunEnd::kDone);
}

// Searches that do not build on each other are what they are in any order.
TEST(PipelineGuard, AnotherOrderOfIndependentStagesLosesNoScore) {
  const ScratchFolder scratch;
  const auto wanted = UndisturbedFiles(TwoStages(""));
  SmallRun run(TwoStages(scratch / "run"));
  run.StopAfter(testing::kSmallScores + 3);
  ASSERT_EQ(run.Start(), RunEnd::kStopped);
  std::swap(run.job.stages[0], run.job.stages[1]);
  run.StopAfter(1000);
  ASSERT_EQ(run.Resume(), RunEnd::kDone);
  EXPECT_EQ(run.stages.evaluator.scores, 2 * testing::kSmallScores);
  const auto files = FinalFiles(scratch / "run");
  for (const auto& [name, content] : wanted) {
    if (name.find('/') != std::string::npos) {
      EXPECT_EQ(files.at(name), content) << name;
    }
  }
}

TEST(PipelineGuard, ResultsOfAnEarlierEndAreNotThoseOfTheRunThatGoesOn) {
  const ScratchFolder scratch;
  SmallRun run(SmallJob(scratch / "run"));
  ASSERT_EQ(run.Start(), RunEnd::kDone);
  const std::string first = testing::SlurpFile(run.Path("factors.json"));
  run.job.stages[0].evolution.generations += 2;
  run.StopAfter(1);
  ASSERT_EQ(run.Resume(), RunEnd::kStopped);
  EXPECT_FALSE(fs::exists(run.Path("factors.json")));
  EXPECT_FALSE(fs::exists(run.Path("table.csv")));
  EXPECT_EQ(testing::SlurpFile(run.Path("factors.previous.json")), first);
  run.StopAfter(1000);
  ASSERT_EQ(run.Resume(), RunEnd::kDone);
  EXPECT_TRUE(fs::exists(run.Path("factors.json")));
}

TEST(PipelineGuard, AResumedRunTellsOnlyOfNewGenerations) {
  const ScratchFolder scratch;
  SmallRun run(SmallJob(scratch / "run"));
  run.StopAfter(50);
  ASSERT_EQ(run.Start(), RunEnd::kStopped);
  run.observer.messages.clear();
  run.StopAfter(1000);
  ASSERT_EQ(run.Resume(), RunEnd::kDone);
  for (const std::string& message : run.observer.messages) {
    EXPECT_EQ(message.find("generation 0 done"), std::string::npos) << message;
  }
}

// A file system without hard links, as exFAT.
class NoLinks final : public FileSystem {
 public:
  int Link(const std::string&, const std::string&) override {
    errno = EPERM;
    return -1;
  }
};

TEST(PipelineGuard, NeedsNoHardLinks) {
  const ScratchFolder scratch;
  NoLinks files;
  SmallRun run(SmallJob(scratch / "run"));
  run.files = &files;
  ASSERT_EQ(run.Start(), RunEnd::kDone);
  EXPECT_EQ(FinalFiles(scratch / "run"), UndisturbedFiles(SmallJob("")));
  EXPECT_TRUE(fs::exists(run.Path("checkpoint.previous.h5")));
}

TEST(PipelineGuard, WhatAKilledProcessLeftHalfWrittenIsSweptAway) {
  const ScratchFolder scratch;
  SmallRun run(SmallJob(scratch / "run"));
  run.StopAfter(20);
  ASSERT_EQ(run.Start(), RunEnd::kStopped);
  testing::WriteFile(run.Path("checkpoint.h5.tmp.12345"), "half");
  run.StopAfter(1000);
  ASSERT_EQ(run.Resume(), RunEnd::kDone);
  EXPECT_FALSE(fs::exists(run.Path("checkpoint.h5.tmp.12345")));
}

TEST(PipelineGuard, AFolderWithSomebodysResultsIsNotWrittenTo) {
  for (const char* name : {"factors.json", "checkpoint.h5", "table.csv"}) {
    const ScratchFolder scratch;
    fs::create_directories(scratch / "run");
    testing::WriteFile(scratch / "run" / name, "mine");
    SmallRun run(SmallJob(scratch / "run"));
    EXPECT_REFUSED(run.Start(), std::string("holds a ") + name);
    EXPECT_EQ(testing::SlurpFile(scratch / "run" / name), "mine");
  }
}

TEST(PipelineGuard, ARunThatCannotBeginLeavesNoFolderBehind) {
  const ScratchFolder scratch;
  SmallRun run(SmallJob(scratch / "a" / "b" / "run"));
  run.job.stages[0].length = 2;  // within the original length
  EXPECT_REFUSED(run.Start(), "length");
  EXPECT_FALSE(fs::exists(scratch / "a"));
}

TEST(PipelineGuard, ABoundBelowTheRatioIsWarnedOf) {
  const ScratchFolder scratch;
  SmallRun run(SmallJob(scratch / "run"));
  run.job.stages[0].bound = 2;
  ASSERT_EQ(run.Start(), RunEnd::kDone);
  ASSERT_EQ(run.observer.warnings.size(), 1u);
  EXPECT_NE(run.observer.warnings[0].find("below the ratio"), std::string::npos);
}

}  // namespace
}  // namespace longrope
