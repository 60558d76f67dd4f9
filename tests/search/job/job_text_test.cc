// Settings of the command line, and jobs as texts: written, compared.
#include <gtest/gtest.h>

#include "search/job/job_file.h"
#include "search/job/suggest.h"
#include "tests/search/job/small_run.h"
#include "tests/support/refusal.h"

namespace longrope {
namespace {

constexpr const char* kText =
    "model: {path: /m}\ndata: {path: /d}\noutput:\nstages:\n"
    "  - {name: one, kind: search, length: 2048, start_tokens: [0, 4]}\n"
    "  - {name: two, kind: search, length: 4096}\n";

Job With(const std::vector<std::string>& settings) {
  YamlNode tree = ParseYaml(kText, "job.yaml");
  for (const std::string& setting : settings) ApplySetting(&tree, setting);
  return ResolveJob(tree, "job");
}

TEST(ApplySetting, ReachesEveryLevel) {
  const Job job = With({"seed=7", "model.path=/other", "model.rope_base=5e5", "output.folder=/o=1",
                        "backend.threads=3", "stages.two.length=8192", "stages.two.seeds=[pi]",
                        "stages.one.start_tokens=[0]", "stages.one.max_hours=2", "seed=8"});
  EXPECT_EQ(job.seed, 8);  // the later one wins
  EXPECT_EQ(job.model.path, "/other");
  EXPECT_EQ(job.model.rope_base, 5e5);
  EXPECT_EQ(job.output.folder, "/o=1");
  EXPECT_EQ(job.backend.threads, 3);
  EXPECT_EQ(job.stages[1].length, 8192);
  EXPECT_EQ(job.stages[1].seeds, (std::vector<std::string>{"pi"}));
  EXPECT_EQ(job.stages[0].start_tokens, (std::vector<int64_t>{0}));
  EXPECT_EQ(job.stages[0].length, 2048);
  EXPECT_EQ(job.stages[0].max_hours, 2);
  EXPECT_FALSE(With({"stages.one.max_hours=2", "stages.one.max_hours="}).stages[0].max_hours);
}

TEST(ApplySetting, RefusesWhatItCannotSet) {
  EXPECT_REFUSED(With({"seed"}), "--set seed: expected key=value");
  EXPECT_REFUSED(With({"=5"}), "expected key=value");
  EXPECT_REFUSED(With({""}), "expected key=value");
  EXPECT_REFUSED(With({"stages.three.length=5"}),
                 "nothing there is named 'three'; allowed: one, two");
  EXPECT_REFUSED(With({"stages.1.length=5"}), "nothing there is named '1'");
  EXPECT_REFUSED(With({"seed=1", "seed.x=5"}), "'x' is below a key that holds a single value");
  EXPECT_REFUSED(With({"model.path.x=5"}), "below a key that holds a single value");
  EXPECT_REFUSED(With({"stages.one.start_tokens.0=5"}), "--set stages.one.start_tokens.0=5: ");
  EXPECT_REFUSED(With({"modle.path=5"}), "--set modle.path=5: modle: no such key");
  EXPECT_REFUSED(With({"stages.one.lenght=5"}), "stages.one.lenght: no such key");
  EXPECT_REFUSED(With({"model..path=5"}), "no such key");
  EXPECT_REFUSED(With({"seed=010"}), "--set seed=010");
  EXPECT_REFUSED(With({"seed=[1"}), "--set seed=[1");
  EXPECT_REFUSED(With({"seed=-1"}), "--set seed=-1: seed: -1; allowed");
  EXPECT_REFUSED(With({"stages.one.length=1"}), "--set stages.one.length=1: stages.one.length");
}

Job Odd() {
  Job job = testing::SmallJob("/results/odd: #1 'x' \"y\"\n\\ \xc3\xa9");
  job.model.path = "/010";
  job.model.original_length = 4096;
  job.model.rope_base = 1e12;
  job.model.head_dim = 128;
  job.data.text_field = "";
  job.data.join = true;
  job.name = "010";
  job.seed = 9'000'000'000'000'000;
  job.backend.memory_gb = 0.1;
  StageOptions stage = job.stages[0];
  stage.name = "null";
  stage.length = 1 << 21;
  stage.attention = "1.125";
  stage.bound = 1.0 / 3 + 1;
  stage.max_evaluations = 12;
  stage.max_hours = 1e-3;
  stage.runtime = "hugging-face";
  stage.start_tokens = {0};
  stage.seeds = {"yarn"};
  stage.evolution.mutation_rate = 0.1 + 0.2;
  stage.yarn = {128, 2.5, false};
  job.stages.push_back(stage);
  return job;
}

TEST(JobText, ReadsBackAsTheSameJob) {
  for (const Job& job : {Odd(), testing::SmallJob("/run"), With({})}) {
    const Job read = ResolveJob(ParseYaml(JobText(job), "job.yaml"), "other");
    EXPECT_EQ(JobText(read), JobText(job));
    EXPECT_EQ(read.output.folder, job.output.folder);
    EXPECT_EQ(read.name, job.name);
    EXPECT_EQ(read.data.text_field, job.data.text_field);
    EXPECT_EQ(read.stages.back().bound, job.stages.back().bound);
    EXPECT_EQ(read.stages.back().evolution.mutation_rate,
              job.stages.back().evolution.mutation_rate);
    EXPECT_EQ(read.stages.back().attention, job.stages.back().attention);
  }
}

TEST(JobIdentity, LeavesOutPlacesThreadsAndBudgets) {
  const Job job = Odd();
  Job other = job;
  other.name = "another";
  other.model.path = "/a";
  other.data.path = "/b";
  other.output.folder = "/c";
  other.backend = {"reference", 9, "f32", 3.5};
  for (StageOptions& stage : other.stages) {
    stage.evolution.generations += 5;
    stage.max_evaluations = 99999;
    stage.max_hours.reset();
  }
  EXPECT_EQ(JobIdentity(other), JobIdentity(job));
  EXPECT_NE(JobText(other), JobText(job));
  for (const char* word : {"path", "folder", "threads", "generations", "max_", "backend"}) {
    EXPECT_EQ(JobIdentity(job).find(word), std::string::npos) << word;
  }
}

TEST(DifferingKeys, NamesEveryKeyAndNoOther) {
  const Job job = Odd();
  EXPECT_TRUE(DifferingKeys(JobIdentity(job), JobIdentity(job)).empty());
  Job other = job;
  other.seed = 1;
  other.model.head_dim.reset();
  other.stages[0].bound = 2;
  other.stages[1].seeds = {"pi", "yarn"};
  other.stages[1].start_tokens = {0, 1};
  const std::vector<std::string> wanted = {"model.head_dim", "seed", "stages.extend.bound",
                                           "stages.null.seeds", "stages.null.start_tokens"};
  EXPECT_EQ(DifferingKeys(JobIdentity(job), JobIdentity(other)), wanted);
  EXPECT_EQ(DifferingKeys(JobIdentity(other), JobIdentity(job)), wanted);
}

TEST(LoweredBudgets, NamesThoseThatShrank) {
  Job before = With({"stages.one.max_evaluations=10", "stages.two.max_hours=3"});
  Job next = before;
  EXPECT_TRUE(LoweredBudgets(before, next).empty());
  next.stages[0].max_evaluations.reset();  // no budget at all is more
  next.stages[1].max_hours = 4;
  next.stages[1].evolution.generations += 1;
  EXPECT_TRUE(LoweredBudgets(before, next).empty());
  next.stages[0].max_evaluations = 9;
  next.stages[1].max_hours = 2;
  next.stages[0].evolution.generations -= 1;
  next.stages[1].max_evaluations = 5;  // where there was none
  EXPECT_EQ(LoweredBudgets(before, next),
            (std::vector<std::string>{"stages.one.generations", "stages.one.max_evaluations",
                                      "stages.two.max_evaluations", "stages.two.max_hours"}));
}

TEST(NearestName, IsTheOneWithTheFewestEdits) {
  EXPECT_EQ(NearestName("lenght", {"name", "length", "bound"}), "length");
  EXPECT_EQ(NearestName("", {"abc", "a"}), "a");
  EXPECT_EQ(NearestName("x", {}), "");
  EXPECT_EQ(Joined({"a", "b", "c"}), "a, b, c");
  EXPECT_EQ(Joined({}), "");
}

}  // namespace
}  // namespace longrope
