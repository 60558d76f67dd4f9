// What comes back from a fine-tune's command, and what is made of it.
#include <gtest/gtest.h>

#include "tests/search/job/schedule.h"
#include "tests/support/refusal.h"

namespace longrope {
namespace fs = std::filesystem;
namespace {

using testing::kCopy;
using testing::Schedule;
using testing::SlurpFile;

// A search and its fine-tune, nothing after them.
struct Tuning : Schedule {
  explicit Tuning(const std::string& command) : Schedule(command) { job.stages.resize(2); }
};

// Expects a refusal that leaves everything before it as it was, and a run that goes on once the
// command is right.
void ExpectRefusedThenRight(const std::string& command, const std::string& part) {
  Tuning schedule(command);
  EXPECT_REFUSED(schedule.Start(), part);
  EXPECT_TRUE(fs::exists(schedule.Path("one/factors.json"))) << "nothing is lost";
  EXPECT_FALSE(fs::exists(schedule.Path("tune/leg-1/done.json")));
  fs::remove_all(schedule.Path("tune/leg-1/output"));
  schedule.Stage("tune").finetune.command = kCopy;
  EXPECT_EQ(schedule.Resume(), RunEnd::kDone);
}

TEST(FinetuneRun, ACommandThatFailsIsOneLineWithItsCodeAndLastWords) {
  ExpectRefusedThenRight("echo no memory >&2; exit 3",
                         "stage tune, leg 1: the command failed with exit code 3 (no memory)");
}

TEST(FinetuneRun, ACommandThatIsMissingIsNamed) {
  ExpectRefusedThenRight("no-such-trainer {model}", "exit code 127");
}

TEST(FinetuneRun, ACommandThatMakesNothingIsRefused) {
  ExpectRefusedThenRight("true", "no config.json is there");
}

TEST(FinetuneRun, WeightsOfAnotherShapeAreRefused) {
  ExpectRefusedThenRight(
      "cp -r {model} {output} && sed -i 's/\\\"intermediate_size\\\": "
      "704/\\\"intermediate_size\\\": "
      "700/' {output}/config.json",
      "config.json asks for [700, 256]");
}

TEST(FinetuneRun, AConfigThatLostItsFactorsIsRefused) {
  ExpectRefusedThenRight("cp -r {model} {output} && cp " +
                             testing::SourcePath("data/tiny/config.json").string() +
                             " {output}/config.json",
                         "config.json came back with another");
}

TEST(FinetuneRun, WeightsThatDivergedAreRefusedByName) {
  ExpectRefusedThenRight(
      "cp -r {model} {output} && printf '\\\\300\\\\177' | dd of={output}/model.safetensors bs=1 "
      "seek=4000000 conv=notrunc 2> /dev/null",
      "is not finite: the training diverged");
}

TEST(FinetuneRun, WeightsThatCameBackAsGivenAreWarnedOf) {
  Tuning schedule("cp -r {model} {output}");
  ASSERT_EQ(schedule.Start(), RunEnd::kDone);
  ASSERT_EQ(schedule.observer.warnings.size(), 1u);
  EXPECT_NE(schedule.observer.warnings[0].find("came back as it was given"), std::string::npos);
}

// A training that ended is not made again where its output was only not yet looked at.
TEST(FinetuneRun, WhatWasTrainedIsCheckedAndNotTrainedAgain) {
  Tuning schedule(std::string(kCopy) + " && rm {output}/config.json");
  EXPECT_REFUSED(schedule.Start(), "no config.json is there");
  fs::copy(schedule.Path("tune/leg-1/input/config.json"),
           schedule.Path("tune/leg-1/output/config.json"));
  schedule.Stage("tune").finetune.command = "exit 9";
  EXPECT_EQ(schedule.Resume(), RunEnd::kDone);
}

TEST(FinetuneRun, AnOutputThatWasReplacedIsRefused) {
  Schedule schedule(kCopy);
  schedule.job.stages.resize(3);
  StageOptions two = schedule.job.stages[2];
  schedule.job.stages.resize(2);
  ASSERT_EQ(schedule.Start(), RunEnd::kDone);
  std::string weights = SlurpFile(schedule.Path("tune/leg-1/output/model.safetensors"));
  weights[5000000] = static_cast<char>(weights[5000000] ^ 1);
  testing::WriteFile(schedule.Path("tune/leg-1/output/model.safetensors"), weights);
  schedule.job.stages.push_back(two);
  EXPECT_REFUSED(schedule.Resume(), "is not what the leg ended in");
}

// A kill came between the last leg and the stage's own factors.
TEST(FinetuneRun, ItsFactorsAreMadeAnewWhereTheyAreMissing) {
  Tuning schedule(kCopy);
  ASSERT_EQ(schedule.Start(), RunEnd::kDone);
  const std::string factors = SlurpFile(schedule.Path("tune/factors.json"));
  fs::remove(schedule.Path("tune/factors.json"));
  schedule.Stage("tune").finetune.command = "exit 9";
  EXPECT_EQ(schedule.Resume(), RunEnd::kDone);
  EXPECT_EQ(SlurpFile(schedule.Path("tune/factors.json")), factors);
}

TEST(FinetuneRun, WithoutACommandTheRunWaitsAndSaysForWhat) {
  Tuning schedule("");
  ASSERT_EQ(schedule.Start(), RunEnd::kWaiting);
  const std::string& last = schedule.observer.messages.back();
  EXPECT_NE(last.find(schedule.Path("tune/leg-1/input").string()), std::string::npos) << last;
  EXPECT_NE(last.find(schedule.Path("tune/leg-1/output").string()), std::string::npos);
  EXPECT_NE(last.find("2 steps on sequences of 320 tokens"), std::string::npos);
  EXPECT_NE(last.find("longrope resume"), std::string::npos);
  EXPECT_EQ(schedule.Resume(), RunEnd::kWaiting);
  fs::copy(schedule.Path("tune/leg-1/input"), schedule.Path("tune/leg-1/output"),
           fs::copy_options::recursive);
  EXPECT_EQ(schedule.Resume(), RunEnd::kDone);
}

TEST(FinetuneRun, GivesTheCommandWhatItsPlaceholdersSay) {
  Tuning schedule(
      "echo L {length} S {steps} G {leg} N {stage} R {seed}; wc -c {tokens}; test -f {factors}; cp "
      "-r "
      "{model} {output}");
  ASSERT_EQ(schedule.Start(), RunEnd::kDone);
  const std::string log = SlurpFile(schedule.Path("tune/leg-1/log.txt"));
  EXPECT_TRUE(log.starts_with("L 320 S 2 G 1 N tune R 3\n")) << log;
  // Ids of the training text, behind a BOS, as tokenize prints them.
  const std::string bytes = SlurpFile(schedule.Path("tune/tokens.u32"));
  const auto tokenizer = OpenTokenizer(testing::SourcePath("data/tiny").string(), 4096);
  const auto ids = tokenizer->Encode(ReadText(schedule.folder() / "texts/4.txt"));
  ASSERT_EQ(bytes.size(), 4 * ids.size());
  for (size_t i = 0; i < ids.size(); ++i) {
    uint32_t id = 0;
    for (int b = 3; b >= 0; --b) {
      id = id << 8 | static_cast<unsigned char>(bytes[4 * i + static_cast<size_t>(b)]);
    }
    ASSERT_EQ(static_cast<int32_t>(id), ids[i]) << i;
  }
  EXPECT_EQ(ids[0], 1) << "BOS";
}

TEST(FinetuneRun, ACommandThatStopsResumableIsRunAgain) {
  Tuning schedule(
      "if [ -e {output}.half ]; then cp -r {model} {output}; else touch {output}.half; exit 75; "
      "fi");
  EXPECT_EQ(schedule.Start(), RunEnd::kStopped);
  EXPECT_EQ(schedule.Resume(), RunEnd::kDone);
}

TEST(FinetuneRun, TheSecondLegTrainsWhatTheFirstLeft) {
  Tuning schedule(kCopy);
  StageOptions& tune = schedule.Stage("tune");
  tune.finetune.factors = {"one", "yarn@360"};
  tune.finetune.steps = {1, 1};
  tune.lengths = {320, 360};
  tune.finetune.command =
      "cp -r {model} {output} && printf {leg} | dd of={output}/model.safetensors bs=1 "
      "seek=400000{leg} conv=notrunc 2> /dev/null";
  ASSERT_EQ(schedule.Start(), RunEnd::kDone);
  const std::string weights = SlurpFile(schedule.Path("tune/leg-2/output/model.safetensors"));
  EXPECT_EQ(weights[4000001], '1');
  EXPECT_EQ(weights[4000002], '2');
  const ModelConfig config = ReadModelConfig(schedule.Path("tune/leg-2/output"), {});
  EXPECT_EQ(config.own_factors->Longest().factors.lambda,
            MethodFactors(RopeMethod::kYarn, config.Rope(), 360.0 / 256, 360).lambda);
  EXPECT_EQ(config.own_factors->Longest().length, 360);
}

// The search that a leg's factors came from was run again: what was trained with the old ones is
// not taken for the new.
TEST(FinetuneRun, OtherFactorsThanALegBeganWithAreRefused) {
  Tuning schedule("");
  ASSERT_EQ(schedule.Start(), RunEnd::kWaiting);
  FactorFile file = ReadFactorFile(schedule.Path("one/factors.json"));
  file.buckets[0].factors.lambda.back() += 0.01f;
  testing::WriteFile(schedule.Path("one/factors.json"), WriteFactorFile(file));
  EXPECT_REFUSED(schedule.Resume(), "another model or other factors");
}

}  // namespace
}  // namespace longrope
