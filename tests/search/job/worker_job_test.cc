// Jobs whose scores come from workers: what they may say, and what is made of it.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "search/job/external_stages.h"
#include "search/job/job_file.h"
#include "search/job/model_options.h"
#include "tests/support/refusal.h"
#include "tests/support/temp_folder.h"

namespace longrope {
namespace {

using ::testing::ElementsAre;
using testing::RefusalOf;

constexpr const char* kStage = "stages:\n  - {name: a, kind: search, length: 512}\n";

class WorkerJobTest : public ::testing::Test {
 protected:
  Job Read(const std::string& rest, const std::string& stages = kStage) const {
    const auto path = folder_ / "job.yaml";
    testing::WriteFile(
        path, "model: {path: m}\ndata: {path: d, held_out_books: [x]}\n" + rest + "\n" + stages);
    return ReadJob(path, {});
  }
  std::string Refused(const std::string& rest, const std::string& stages = kStage) const {
    return RefusalOf([&] { Read(rest, stages); });
  }

  testing::TempFolder folder_;
};

TEST_F(WorkerJobTest, ACommandAndItsNumbersAreKeptAndChangeNoResult) {
  const Job plain = Read("");
  const Job job = Read(
      "backend: {command: [srun, -n, '1', 'a b', \"{worker}\"], workers: 3, start_timeout: 20, "
      "silence_timeout: 1.5, task_timeout: 90}");
  const WorkerOptions options = WorkerOptionsOf(job.backend);
  EXPECT_THAT(options.command, ElementsAre("srun", "-n", "1", "a b", "{worker}"));
  EXPECT_EQ(options.workers, 3);
  EXPECT_EQ(options.start_timeout, 20);
  EXPECT_EQ(options.silence_timeout, 1.5);
  EXPECT_EQ(options.task_timeout, 90);
  EXPECT_EQ(JobIdentity(job), JobIdentity(plain));
  // As a run keeps it and `resume` reads it.
  testing::WriteFile(folder_ / "kept.yaml", JobText(job));
  EXPECT_EQ(JobText(ReadJob(folder_ / "kept.yaml", {})), JobText(job));
}

TEST_F(WorkerJobTest, WhatIsNotSaidIsTheTeamsDefault) {
  const WorkerOptions options = WorkerOptionsOf(Read("backend: {command: [w]}").backend);
  const WorkerOptions defaults;
  EXPECT_EQ(options.workers, defaults.workers);
  EXPECT_EQ(options.start_timeout, defaults.start_timeout);
  EXPECT_EQ(options.silence_timeout, defaults.silence_timeout);
  EXPECT_EQ(options.task_timeout, defaults.task_timeout);
}

TEST_F(WorkerJobTest, ContradictionsAreRefusedWithTheirLine) {
  for (const auto& one : std::vector<std::pair<std::string, std::string>>{
           {"backend: {command: [w], name: reference}", "job.yaml:3: backend.name: workers"},
           {"backend: {command: [w], threads: 2}", "job.yaml:3: backend.threads: workers"},
           {"backend: {command: [w], dtype: f16}", "job.yaml:3: backend.dtype: workers"},
           {"backend: {command: [w], memory_gb: 2}", "job.yaml:3: backend.memory_gb: workers"},
           {"backend: {workers: 2}", "job.yaml:3: backend.workers: is for workers"},
           {"backend: {silence_timeout: 2}", "job.yaml:3: backend.silence_timeout: is for workers"},
           {"backend: {command: w}", "job.yaml:3: backend.command: expected a list"},
           {"backend: {command: [w, '']}", "job.yaml:3: backend.command: ''"},
           {"backend: {command: [w], workers: 0}", "job.yaml:3: backend.workers: 0"}}) {
    EXPECT_REFUSED(Read(one.first), one.second);
  }
}

TEST_F(WorkerJobTest, ItsTextSaysNothingOfAnEngineAndOthersNothingOfWorkers) {
  const std::string text = JobText(Read("backend: {command: [w], workers: 3}"));
  EXPECT_NE(text.find("workers: 3"), std::string::npos) << text;
  for (const char* key : {"threads:", "dtype:", "memory_gb:", "name: auto"}) {
    EXPECT_EQ(text.find(key), std::string::npos) << text;
  }
  EXPECT_NE(JobText(Read("backend: {threads: 2}")).find("threads: 2"), std::string::npos);
}

TEST_F(WorkerJobTest, WithoutTheCommandItIsTheEngines) {
  const Job job = Read("backend: {command: null, workers: 3, start_timeout: 4, threads: 2}");
  EXPECT_FALSE(job.backend.workers.has_value());
  EXPECT_FALSE(job.backend.start_timeout.has_value());
  EXPECT_EQ(job.backend.threads, 2);
}

TEST_F(WorkerJobTest, StagesThatWorkersCannotDoAreRefused) {
  const std::string workers = "backend: {command: [w]}";
  const auto stages = [](const std::string& stage) { return "stages:\n  - {" + stage + "}\n"; };
  EXPECT_REFUSED(Read(workers, stages("name: a, kind: search, length: 512, objective: key")),
                 "job.yaml:5: stages.a.objective: key is nothing that workers do");
  EXPECT_REFUSED(Read(workers, stages("name: a, kind: evaluate, rows: [pi], lengths: [512], "
                                      "protocols: [perplexity, sliding]")),
                 "stages.a.protocols: sliding is nothing that workers do");
  Read(workers, stages("name: a, kind: search, length: 512, objective: tail"));
  Read(workers, stages("name: a, kind: evaluate, rows: [pi], lengths: [512], "
                       "protocols: [perplexity, start-tokens]"));
}

TEST(WorkerModel, ItsOriginalLengthIsTheJobsElseTheWorkers) {
  ModelOptions stated;
  stated.original_length = 2048;
  WorkerHello hello;
  hello.shape = {128, 1e6, 4096};
  const FactorBucket longest{8192, {{1, 2}, 0, 1.1}};
  hello.given = OwnFactors{"longrope", {{{4096, {{1, 1}, 0, 1.1}}, longest}}};
  EXPECT_EQ(StageModelOf(hello, {}), (StageModel{{128, 1e6, 4096}, longest}));
  EXPECT_EQ(StageModelOf(hello, stated).shape.original_length, 2048);
  hello.shape.original_length = 0;
  EXPECT_EQ(StageModelOf(hello, stated).shape.original_length, 2048);
  EXPECT_REFUSED(StageModelOf(hello, {}), "model.original_length: the workers do not say");
}

}  // namespace
}  // namespace longrope
