#include "search/job/job_file.h"

#include <gtest/gtest.h>

#include <filesystem>
#include <set>

#include "search/job/job_schema.h"
#include "tests/support/refusal.h"
#include "tests/support/temp_folder.h"

namespace longrope {
namespace {

Job Resolve(const std::string& text) { return ResolveJob(ParseYaml(text, "job.yaml"), "name"); }

const std::string kHead = "model: {path: /m}\ndata: {path: /d}\n";

// A job whose one stage has these keys too.
Job WithStage(const std::string& keys) {
  return Resolve(kHead + "stages:\n  - {name: s, kind: search, length: 2048" +
                 (keys.empty() ? "" : ", " + keys) + "}\n");
}
StageOptions Stage(const std::string& keys) { return WithStage(keys).stages.at(0); }

class KeyCollector {
 public:
  std::set<std::string> keys;
  template <class T>
  void operator()(const char* key, T&, KeyRole, const Rule&) {
    keys.insert(key);
  }
};

TEST(JobFile, TheQuickstartIsReadAndNamesEveryKey) {
  const auto path = testing::SourcePath("configs/quickstart.yaml");
  const Job job = ReadJob(path, {});
  EXPECT_EQ(job.name, "quickstart");
  ASSERT_EQ(job.stages.size(), 1u);
  EXPECT_EQ(job.stages[0].length, 2048);
  KeyCollector keys;
  ModelOptions model;
  DataOptions data;
  BackendJobOptions backend;
  OutputOptions output;
  StageOptions stage;
  Describe(keys, model);
  Describe(keys, data);
  Describe(keys, backend);
  Describe(keys, output);
  Describe(keys, stage);
  keys.keys.insert({"name", "seed", "model", "data", "backend", "output", "stages"});
  const std::string text = testing::SlurpFile(path);
  for (const std::string& key : keys.keys) {
    const bool there = text.find("\n" + key + ":") != std::string::npos ||
                       text.find(" " + key + ":") != std::string::npos;
    EXPECT_TRUE(there) << key << " does not stand in quickstart.yaml";
  }
}

TEST(JobFile, FillsInDefaults) {
  const Job job = WithStage("");
  EXPECT_EQ(job.name, "name");
  EXPECT_EQ(job.seed, 0);
  EXPECT_EQ(job.backend.name, "auto");
  EXPECT_EQ(job.backend.threads, 0);
  EXPECT_EQ(job.data.text_field, "text");
  const StageOptions& stage = job.stages[0];
  EXPECT_EQ(stage.documents, 5);
  EXPECT_EQ(stage.held_out, 5);
  EXPECT_EQ(stage.evolution.population, 64);
  EXPECT_EQ(stage.evolution.Evaluations(), 1344);
  EXPECT_EQ(stage.evolution.parents, 32);
  EXPECT_EQ(stage.attention, "longrope");
  EXPECT_FALSE(stage.bound.has_value());
  EXPECT_EQ(stage.start_tokens.size(), 14u);
  EXPECT_EQ(stage.start_tokens.back(), 256);
}

TEST(JobFile, TheScheduleIsSmallerAbove512k) {
  const auto at = [](const std::string& length) {
    return Resolve(kHead + "stages:\n  - {name: s, kind: search, length: " + length + "}\n")
        .stages[0];
  };
  EXPECT_EQ(at("524288").evolution.Evaluations(), 1344);
  EXPECT_EQ(at("524288").documents, 5);
  const StageOptions longer = at("524289");
  EXPECT_EQ(longer.evolution.Evaluations(), 672);
  EXPECT_EQ(longer.evolution.parents, 16);
  EXPECT_EQ(longer.documents, 3);
  EXPECT_EQ(longer.held_out, 3);
  const Job stated =
      Resolve(kHead + "stages:\n  - {population: 50, name: s, kind: search, length: 1000000}\n");
  EXPECT_EQ(stated.stages[0].evolution.population, 50);  // what is stated wins
}

TEST(JobFile, ATypoAtAnyLevelNamesTheNearestKeyAndItsLine) {
  const std::string stages = "stages:\n  - {name: s, kind: search, length: 2048}\n";
  EXPECT_REFUSED(Resolve("sead: 1\n" + kHead + stages),
                 "job.yaml:1: sead: no such key; the nearest is 'seed'");
  EXPECT_REFUSED(Resolve(kHead + "stage:\n  - x\n" + stages),
                 "job.yaml:3: stage: no such key; the nearest is 'stages'");
  EXPECT_REFUSED(Resolve("modle:\n  path: /m\n" + kHead + stages), "job.yaml:1: modle");
  EXPECT_REFUSED(Resolve("model:\n  path: /m\n  orignal_length: 5\ndata: {path: /d}\n" + stages),
                 "job.yaml:3: model.orignal_length: no such key; the nearest is "
                 "'original_length'");
  EXPECT_REFUSED(Resolve("model: {path: /m}\ndata: {path: /d, txt_field: t}\n" + stages),
                 "job.yaml:2: data.txt_field: no such key; the nearest is 'text_field'");
  EXPECT_REFUSED(Resolve(kHead + "backend: {tread: 1}\n" + stages), "'threads'");
  EXPECT_REFUSED(Resolve(kHead + "output: {foldr: x}\n" + stages),
                 "output.foldr: no such key; the nearest is 'folder'");
  EXPECT_REFUSED(Stage("generation: 5"),
                 "stages.s.generation: no such key; the nearest is 'generations'");
  EXPECT_REFUSED(Stage("'<<': 5"), "no such key");
}

TEST(JobFile, WhatIsRequiredMustBeThere) {
  const std::string stages = "stages:\n  - {name: s, kind: search, length: 2048}\n";
  EXPECT_REFUSED(Resolve("data: {path: /d}\n" + stages), "model.path: is missing");
  EXPECT_REFUSED(Resolve("model:\ndata: {path: /d}\n" + stages), "model.path: is missing");
  EXPECT_REFUSED(Resolve("model: {path: ~}\ndata: {path: /d}\n" + stages),
                 "model.path: is missing");
  EXPECT_REFUSED(Resolve("model: {path: /m}\n" + stages), "data.path: is missing");
  EXPECT_REFUSED(Resolve(kHead), "stages: expected a list");
  EXPECT_REFUSED(Resolve(kHead + "stages: []\n"), "job.yaml:3: stages: expected a list");
  EXPECT_REFUSED(Resolve(kHead + "stages: 5\n"), "stages: expected a list");
  EXPECT_REFUSED(Resolve(kHead + "stages: [5]\n"), "job.yaml:3: stages.1: expected \"key");
  EXPECT_REFUSED(Resolve(kHead + "stages: [{kind: search, length: 5}]\n"),
                 "stages.1.name: is missing");
  EXPECT_REFUSED(Resolve(kHead + "stages: [{name: s, length: 5}]\n"), "stages.s.kind: is missing");
  EXPECT_REFUSED(Resolve(kHead + "stages: [{name: s, kind: search}]\n"),
                 "stages.s.length: is missing");
  EXPECT_REFUSED(Resolve(""), "job.yaml:1: the job: expected \"key: value\" lines");
  EXPECT_REFUSED(Resolve("[1, 2]"), "job.yaml:1: the job: expected");
  EXPECT_REFUSED(Resolve("model: 5\n"), "job.yaml:1: model: expected \"key: value\" lines");
}

TEST(JobFile, AnEmptyPathIsRefused) {
  const std::string stages = "stages:\n  - {name: s, kind: search, length: 2048}\n";
  EXPECT_REFUSED(Resolve("model: {path: ''}\ndata: {path: /d}\n" + stages), "model.path");
  EXPECT_REFUSED(Resolve("model: {path: /m}\ndata: {path: ''}\n" + stages), "data.path");
}

TEST(JobFile, ValuesOutOfTheirRangeAreRefused) {
  for (const char* bad : {"length: 1",
                          "documents: 0",
                          "documents: -1",
                          "documents: 10001",
                          "documents: 2.5",
                          "documents: 2.0",
                          "documents: 1e2",
                          "documents: two",
                          "documents: ''",
                          "documents: [1]",
                          "documents: 99999999999999999999",
                          "documents: 0x10",
                          "documents: +5",
                          "documents: ' 5'",
                          "documents: nan",
                          "held_out: -1",
                          "population: 0",
                          "population: 1000001",
                          "generations: -1",
                          "mutations: -1",
                          "crossovers: -1",
                          "parents: 0",
                          "mutation_rate: 0",
                          "mutation_rate: 1.01",
                          "mutation_rate: nan",
                          "mutation_rate: -nan",
                          "mutation_rate: inf",
                          "mutation_rate: .inf",
                          "mutation_rate: .nan",
                          "mutation_rate: 0.3x",
                          "mutation_rate: '0,3'",
                          "crossover_rate: -0.1",
                          "crossover_rate: 1.1",
                          "crossover_tries: 0",
                          "seed_sweeps: 0",
                          "max_evaluations: 0",
                          "max_evaluations: -5",
                          "max_hours: 0",
                          "max_hours: inf",
                          "max_hours: 1e7",
                          "bound: 0.99",
                          "bound: 100001",
                          "bound: nan",
                          "yarn_beta_fast: 0",
                          "yarn_beta_slow: 1e7",
                          "yarn_truncate: yes",
                          "yarn_truncate: 1",
                          "attention: paper",
                          "attention: 0.09",
                          "attention: 10.1",
                          "attention: nan",
                          "attention: inf",
                          "attention: -1",
                          "attention: ''",
                          "attention: [none]",
                          "runtime: vllm",
                          "runtime: ''",
                          "kind: searches",
                          "seeds: [pi, none]",
                          "seeds: []",
                          "seeds: pi",
                          "seeds: [[pi]]",
                          "start_tokens: []",
                          "start_tokens: [-1]",
                          "start_tokens: [0, 0]",
                          "start_tokens: [4, 0]",
                          "start_tokens: 4",
                          "start_tokens: [0.5]",
                          "start_tokens: [~]",
                          "name: 'a b'",
                          "name: ''",
                          "name: a/b",
                          "name: ..",
                          "name: [s]"}) {
    const std::string key = std::string(bad).substr(0, std::string(bad).find(':'));
    std::string keys = "name: s, kind: search, length: 2048";
    for (const char* stated : {"name: s", "kind: search", "length: 2048"}) {
      const std::string member = stated;
      if (member.starts_with(key + ":")) keys.replace(keys.find(member), member.size(), bad);
    }
    if (keys.find(bad) == std::string::npos) keys += std::string(", ") + bad;
    SCOPED_TRACE(bad);
    EXPECT_REFUSED(Resolve(kHead + "stages:\n  - {" + keys + "}\n"), key);
    EXPECT_REFUSED(Resolve(kHead + "stages:\n  - {" + keys + "}\n"), "job.yaml:4: stages.");
  }
  const std::string stages = "stages:\n  - {name: s, kind: search, length: 2048}\n";
  for (const char* bad :
       {"seed: -1", "seed: 1e3", "seed: 9000000000000001", "name: a.b", "backend: {name: cuda9}",
        "backend: {threads: 1025}", "backend: {threads: -1}", "backend: {memory_gb: 0}",
        "backend: {memory_gb: nan}", "output: {folder: [x]}"}) {
    EXPECT_REFUSED(Resolve(kHead + bad + "\n" + stages), "job.yaml:3: ");
  }
}

TEST(JobFile, EndsOfRangesAreAccepted) {
  EXPECT_EQ(Stage("generations: 0").evolution.generations, 0);
  EXPECT_EQ(Stage("held_out: 0").held_out, 0);
  EXPECT_EQ(Stage("bound: 1").bound, 1);
  EXPECT_EQ(Stage("bound: 100000").bound, 100000);
  EXPECT_EQ(Stage("mutation_rate: 1").evolution.mutation_rate, 1);
  EXPECT_EQ(Stage("attention: 0.1").attention, "0.1");
  EXPECT_EQ(Stage("attention: 10").attention, "10");
  EXPECT_EQ(Stage("attention: search").attention, "search");
  EXPECT_EQ(Stage("max_evaluations: 1").max_evaluations, 1);
}

TEST(JobFile, KeysThatDoNotFitTogetherAreRefused) {
  EXPECT_REFUSED(Stage("parents: 65"),
                 "stages.s.parents: 65; allowed: 1 to population + warm_evaluations (64)");
  EXPECT_REFUSED(Stage("population: 31"), "parents");
  EXPECT_REFUSED(Stage("parents: 1"), "crossovers need at least 2");
  EXPECT_NO_THROW(Stage("parents: 1, crossovers: 0"));
  EXPECT_REFUSED(Stage("mutations: 0, crossovers: 0"), "mutations");
  EXPECT_NO_THROW(Stage("mutations: 0, crossovers: 0, generations: 0"));
  EXPECT_REFUSED(Stage("population: 2, parents: 2"), "at least the 3 seeds");
  EXPECT_NO_THROW(Stage("population: 2, parents: 2, seeds: [pi, ntk]"));
  EXPECT_REFUSED(Stage("yarn_beta_fast: 1"), "must be above yarn_beta_slow");
  EXPECT_REFUSED(Stage("yarn_beta_slow: 40"), "must be above yarn_beta_slow");
}

TEST(JobFile, ARuntimeWithoutStartTokensAllowsNone) {
  for (const char* runtime : {"hugging-face", "longrope-csv"}) {
    const std::string key = std::string("runtime: ") + runtime;
    EXPECT_EQ(Stage(key).start_tokens, (std::vector<int64_t>{0}));
    EXPECT_NO_THROW(Stage(key + ", start_tokens: [0]"));
    EXPECT_REFUSED(Stage(key + ", start_tokens: [0, 4]"), "allowed: [0]");
    EXPECT_REFUSED(Stage(key + ", start_tokens: [4]"), "allowed: [0]");
  }
  EXPECT_EQ(Stage("runtime: any").start_tokens.size(), 14u);
  EXPECT_EQ(Stage("runtime: ~").start_tokens.size(), 14u);  // not stated
}

TEST(JobFile, TwoStagesOfOneNameAreRefused) {
  const std::string one = "  - {name: s, kind: search, length: 2048}\n";
  EXPECT_REFUSED(Resolve(kHead + "stages:\n" + one + one), "job.yaml:5: stages: two are named s");
}

TEST(JobFile, RelativePathsBecomeAbsolute) {
  const Job job = Resolve(
      "model: {path: m/../n}\ndata: {path: ./d}\n"
      "stages:\n  - {name: s, kind: search, length: 2048}\n");
  const auto here = std::filesystem::current_path();
  EXPECT_EQ(job.model.path, (here / "n").string());
  EXPECT_EQ(job.data.path, (here / "d").string());
  EXPECT_EQ(job.output.folder, (here / "results/name").string());
}

TEST(JobFile, TheNameComesFromTheFileAndResumeCanReadIt) {
  const testing::TempFolder folder;
  for (const char* file : {"plain.yaml", "two words.yaml", "dots.1.yaml", "\xc3\xa9t\xc3\xa9.yaml",
                           ".yaml", "010.yaml"}) {
    SCOPED_TRACE(file);
    testing::WriteFile(folder / file,
                       kHead + "stages:\n  - {name: s, kind: search, length: 2048}\n");
    const Job job = ReadJob(folder / file, {});
    EXPECT_TRUE(IsPlainName(job.name)) << job.name;
    EXPECT_NO_THROW(ResolveJob(ParseYaml(JobText(job), "job.yaml"), "job"));
  }
  EXPECT_EQ(ReadJob(folder / "plain.yaml", {}).name, "plain");
}

TEST(JobFile, ItsErrorsNameTheFile) {
  const testing::TempFolder folder;
  EXPECT_REFUSED(ReadJob(folder / "none.yaml", {}), (folder / "none.yaml").string());
  testing::WriteFile(folder / "bad.yaml", "a: 1\n");
  EXPECT_REFUSED(ReadJob(folder / "bad.yaml", {}), (folder / "bad.yaml").string() + ":1: ");
}

TEST(JobFile, AStudyIsSentToItsCommand) {
  EXPECT_REFUSED(Resolve(kHead + "seeds: [1]\nmethods:\n  - {name: a}\n"), "longrope study");
}

TEST(JobFile, KeysThatWouldDoNothingAreRefused) {
  EXPECT_REFUSED(Stage("race_confidence: 0.9, documents: 2"), "race_confidence: a test needs");
  EXPECT_EQ(Stage("race_confidence: 0.9, documents: 3").race_confidence, 0.9);
  EXPECT_REFUSED(Stage("key_model: /k"), "key_model: is read for objective: key only");
  EXPECT_EQ(Stage("key_model: /k, objective: key").key_model, "/k");
}

}  // namespace
}  // namespace longrope
