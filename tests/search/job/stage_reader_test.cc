// Stages of several kinds, and what they say of each other.
#include "search/job/stage_reader.h"

#include <gtest/gtest.h>

#include "eval/errors.h"
#include "search/job/job_file.h"
#include "tests/support/refusal.h"

namespace longrope {
namespace {

// A list of stages, each without its braces.
std::vector<StageOptions> Read(const std::vector<std::string>& stages) {
  std::string text = "stages:\n";
  for (const std::string& stage : stages) text += "  - {" + stage + "}\n";
  return ReadStages(ParseYaml(text, "job.yaml"));
}

const std::string kOne = "name: one, kind: search, length: 1024";
const std::string kTune = "name: tune, kind: finetune, factors: [one], steps: [4]";
const std::string kTwo = "name: two, kind: search, length: 8192";
const std::string kShort = "name: short, kind: readjust";

TEST(StageReader, AStageWorksOnTheLastFineTunedModelUnlessItSaysAnother) {
  const auto stages =
      Read({kOne, kTune, kTwo, "name: again, kind: search, length: 8192, model: base",
            "name: more, kind: finetune, factors: [two], steps: [1]",
            "name: three, kind: search, length: 16384"});
  EXPECT_EQ(stages[0].model, "base");
  EXPECT_EQ(stages[1].model, "base");
  EXPECT_EQ(stages[2].model, "tune");
  EXPECT_EQ(stages[4].model, "tune") << "it trains on";
  EXPECT_EQ(stages[5].model, "more");
}

TEST(StageReader, AReadjustmentComplementsTheLastSearchOnItsModel) {
  const auto stages = Read(
      {kOne, kTune, kTwo, kShort, "name: shorter, kind: readjust, extends: one, lengths: [300]"});
  EXPECT_EQ(stages[3].extends, "two");
  EXPECT_EQ(stages[3].model, "tune");
  EXPECT_EQ(stages[3].lengths, (std::vector<int64_t>{4096, 8192}));
  EXPECT_EQ(stages[4].extends, "one");
  EXPECT_EQ(stages[4].model, "base") << "where one was found";
  // The last search on that model, which there is none of: what the model itself carries.
  const auto tuned = Read({kOne, kTune, kShort});
  EXPECT_EQ(tuned[2].model, "tune");
  EXPECT_EQ(tuned[2].extends, "");
  EXPECT_EQ(Read({kShort})[0].extends, "");
}

TEST(StageReader, TheSequencesOfALegAreAsLongAsItsFactorsReach) {
  const auto stages =
      Read({kOne, "name: tune, kind: finetune, factors: [one, yarn@2048], steps: [4, 6]"});
  EXPECT_EQ(stages[1].lengths, (std::vector<int64_t>{1024, 2048}));
  const auto stated = Read({kOne, kTune + ", lengths: [512]"});  // Mistral's way
  EXPECT_EQ(stated[1].lengths, (std::vector<int64_t>{512}));
}

TEST(StageReader, AnEvaluationComparesWithItsFirstRow) {
  const auto stages = Read({kOne, kTune,
                            "name: e, kind: evaluate, rows: [\"base:none\", yarn, one, tune, "
                            "\"tune:ntk@4096\"], lengths: [256]"});
  EXPECT_EQ(stages[2].evaluate.reference, "base:none");
  EXPECT_EQ(stages[2].evaluate.protocols, (std::vector<std::string>{"perplexity"}));
}

TEST(StageReader, NamesOfStagesThatAreNotBeforeAreRefused) {
  EXPECT_REFUSED(
      Read({kOne + ", model: tune", kTune}),
      "job.yaml:2: stages.one.model: 'tune'; allowed: base, or a finetune stage before it");
  EXPECT_REFUSED(Read({kOne, kTwo + ", model: one"}), "stages.two.model: 'one'");
  EXPECT_REFUSED(Read({kTune, kOne}), "stages.tune.factors: 'one'; allowed: a search stage");
  EXPECT_REFUSED(Read({kOne, "name: t, kind: finetune, factors: [yarn], steps: [1]"}),
                 "METHOD@LENGTH");
  EXPECT_REFUSED(Read({kOne, "name: t, kind: finetune, factors: [\"yarn@x\"], steps: [1]"}),
                 "a length in tokens");
  EXPECT_REFUSED(Read({kOne, kShort + ", extends: two"}), "stages.short.extends: 'two'");
  EXPECT_REFUSED(Read({kOne, kTune, kShort + ", extends: one, model: tune"}),
                 "one was found on base");
  EXPECT_REFUSED(Read({kOne, "name: short, kind: readjust, lengths: [256]",
                       "name: short-256, kind: search, length: 4096"}),
                 "two searches would be named short-256");
  EXPECT_REFUSED(Read({"name: lock, kind: search, length: 1024"}), "a meaning of its own");
  EXPECT_REFUSED(Read({kOne, "name: e, kind: evaluate, rows: [two], lengths: [256]"}),
                 "stages.e.rows: 'two'");
  EXPECT_REFUSED(Read({kOne, "name: e, kind: evaluate, rows: [\"x:one\"], lengths: [256]"}),
                 "stages.e.rows: 'x'");
}

TEST(StageReader, ListsOfALegMustBeEquallyLong) {
  EXPECT_REFUSED(Read({kOne, "name: t, kind: finetune, factors: [one], steps: [1, 2]"}),
                 "stages.t.steps: expected 1");
  EXPECT_REFUSED(
      Read({kOne, "name: t, kind: finetune, factors: [one], steps: [1], lengths: [5, 6]"}),
      "stages.t.lengths: expected 1");
}

TEST(StageReader, ACommandNamesOnlyWhatItIsGiven) {
  EXPECT_REFUSED(Read({kOne, kTune + ", command: \"train {modle}\""}),
                 "stages.tune.command: {modle} is no placeholder; allowed: {model, factors");
  EXPECT_NO_THROW(Read({kOne, kTune + ", command: \"train {model} ${HOME} {output}\""}));
}

TEST(StageReader, KeysOfAnotherKindAreRefused) {
  EXPECT_REFUSED(Read({kOne + ", steps: [4]"}), "stages.one.steps: no such key");
  EXPECT_REFUSED(Read({kOne, kTune + ", population: 4"}), "stages.tune.population: no such key");
  EXPECT_REFUSED(Read({kOne, kShort + ", length: 256"}), "stages.short.length: no such key");
  EXPECT_REFUSED(Read({"name: x, kind: serach, length: 5"}), "allowed: search, finetune");
  EXPECT_REFUSED(Read({"name: yarn, kind: search, length: 1024"}), "a meaning of its own");
}

TEST(StageReader, TheFrugalReadjustmentHasRoomForItsSeeds) {
  EXPECT_EQ(Read({kShort + ", preset: frugal"})[0].evolution.population, 8);
  EXPECT_REFUSED(Read({kShort + ", preset: frugal, population: 7"}), "at least the 8 seeds");
  EXPECT_REFUSED(Read({kShort + ", lengths: [512, 256]"}), "stages.short.lengths: must increase");
}

TEST(StageReader, BooksServeOnePurposeOnly) {
  const auto read = [](const std::string& data) {
    return ResolveJob(ParseYaml("model: {path: /m}\ndata: {path: /d, " + data +
                                    "}\nstages:\n  - {" + kOne + "}\n",
                                "job.yaml"),
                      "name");
  };
  EXPECT_REFUSED(read("fitness_books: [a, b], held_out_books: [c, b]"),
                 "job.yaml:2: data.held_out_books: 'b' is among fitness_books");
  EXPECT_REFUSED(read("held_out_books: [a, b], train_books: [c, b]"),
                 "data.train_books: 'b' is among held_out_books");
  EXPECT_NO_THROW(read("held_out_books: [a, b], train_books: [c, b], train_path: /other"));
}

TEST(StageReader, NoModelIsTrainedOnTheBooksThatJudgeIt) {
  const auto read = [](const std::string& data, const std::string& command) {
    return ResolveJob(ParseYaml("model: {path: /m}\ndata: {path: /d" + data + "}\nstages:\n  - {" +
                                    kOne + "}\n  - {" + kTune + ", command: \"" + command + "\"}\n",
                                "job.yaml"),
                      "name");
  };
  const std::string judges = ", fitness_books: [a], held_out_books: [b]";
  EXPECT_REFUSED(read("", "train {tokens}"),
                 "job.yaml:2: data: stage tune would train on the books");
  EXPECT_REFUSED(read(", fitness_books: [a]", "train {tokens}"), "would train on the books");
  EXPECT_REFUSED(read(", train_path: /d", "train {tokens}"), "would train on the books");
  EXPECT_REFUSED(read(judges, "train {text}"), "{text} would be more than");
  EXPECT_NO_THROW(read(", train_path: /t", "train {text}"));
  EXPECT_NO_THROW(read(judges, "train {tokens}"));
  EXPECT_NO_THROW(read(", train_books: [c]", "train {tokens}"));
  EXPECT_NO_THROW(read(", train_path: /t", "train {tokens}"));
  EXPECT_NO_THROW(read("", "train {model}")) << "it brings texts of its own";
  EXPECT_REFUSED(read(judges + ", train_path: /d, train_books: [a]", "x"), "'a' is among");
}

TEST(StageReader, NoEvaluationIsHeldOnTheBooksOfASearch) {
  const auto read = [](const std::string& data) {
    return ResolveJob(
        ParseYaml("model: {path: /m}\ndata: {path: /d" + data + "}\nstages:\n  - {" + kOne +
                      "}\n  - {name: e, kind: evaluate, rows: [one], lengths: [256]}\n",
                  "job.yaml"),
        "name");
  };
  EXPECT_REFUSED(read(""), "job.yaml:2: data: stage e would be measured on books that stage one");
  for (const char* data :
       {", held_out_books: [a]", ", fitness_books: [a]", ", evaluate_path: /e"}) {
    EXPECT_NO_THROW(read(data)) << data;
  }
}

TEST(StageReader, AJobOfAllKindsReadsBackFromItsOwnText) {
  const std::string text =
      "model: {path: /m}\ndata: {path: /d, held_out_books: [h]}\nstages:\n  - {" + kOne +
      "}\n  - {" + kTune + ", command: \"a {model}\"}\n  - {" + kTwo + "}\n  - {" + kShort +
      ", preset: frugal}\n  - {name: e, kind: evaluate, rows: [one, \"base:yarn\"], lengths: [256, "
      "512], protocols: [sliding, passkey]}\n";
  const Job job = ResolveJob(ParseYaml(text, "job.yaml"), "name");
  const std::string written = JobText(job);
  EXPECT_EQ(JobText(ResolveJob(ParseYaml(written, "again"), "name")), written);
}

}  // namespace
}  // namespace longrope
