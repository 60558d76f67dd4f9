#include "tests/search/job/schedule.h"

#include <gtest/gtest.h>

#include <cmath>

#include "eval/backend.h"
#include "eval/scorer.h"
#include "search/factors/factor_file.h"
#include "search/job/set_aside.h"
#include "search/job/stage_documents.h"
#include "tests/support/compare.h"
#include "tests/support/refusal.h"

namespace longrope {
namespace fs = std::filesystem;
namespace {

using testing::Schedule;
using testing::SlurpFile;
using testing::WriteFile;

FactorFile Factors(const Schedule& schedule, const std::string& name) {
  return ReadFactorFile(schedule.Path(name));
}

Json JsonOf(const fs::path& path) { return ParseJson(SlurpFile(path), path.string()); }

// Cell of a results.json.
Json Cell(const Json& results, const std::string& row, int64_t length) {
  for (const Json& cell : results["cells"]) {
    if (cell["row"] == row && cell["length"] == length) return cell;
  }
  return nullptr;
}

// One schedule, run once: it is only looked at.
class FinishedSchedule : public ::testing::Test {
 protected:
  static void SetUpTestSuite() {
    schedule_ = new Schedule;
    ASSERT_EQ(schedule_->Start(), RunEnd::kDone);
  }
  static void TearDownTestSuite() { delete schedule_; }
  static Schedule* schedule_;
};
Schedule* FinishedSchedule::schedule_ = nullptr;

TEST_F(FinishedSchedule, ASecondSearchMultipliesTheFactorsThatItsModelCarries) {
  const RopeFactors one = Factors(*schedule_, "one/factors.json").Longest().factors;
  const ModelConfig tuned = ReadModelConfig(schedule_->Path("tune/leg-1/output"), {});
  ASSERT_TRUE(tuned.own_factors.has_value());
  EXPECT_EQ(tuned.own_factors->Longest().factors.lambda, one.lambda);
  EXPECT_EQ(tuned.own_factors->Longest().length, 320);
  const RopeFactors two = Factors(*schedule_, "two/factors.json").Longest().factors;
  double largest = 0;
  int32_t before = 0;
  for (size_t i = 0; i < two.lambda.size(); ++i) {
    const double gene = double{two.lambda[i]} / double{one.lambda[i]};
    const auto step = static_cast<int32_t>(std::lround(gene * 100));
    EXPECT_NEAR(gene * 100, step, 1e-4) << "on the grid";
    EXPECT_GE(step, std::max(before, 100)) << "monotone, 1 or more";
    before = step;
    largest = std::max(largest, gene);
  }
  EXPECT_LE(largest, 1.25 * 400 / 320 + 1e-6);
  // m follows its policy at the whole ratio.
  EXPECT_TRUE(testing::Close(two.attention_factor,
                             std::sqrt(1 + std::log(400.0 / 256) / std::log(256.0)), 1e-12));
}

TEST_F(FinishedSchedule, TheBaselinesOfASecondSearchBeginWithLeavingItAsItIs) {
  const std::string table = SlurpFile(schedule_->Path("two/table.csv"));
  EXPECT_NE(table.find("\ntwo,unchanged,"), std::string::npos) << table;
  EXPECT_EQ(table.find("two,none"), std::string::npos);
  for (const char* method : {"two,pi,", "two,ntk,", "two,yarn,", "two,searched,"}) {
    EXPECT_NE(table.find(method), std::string::npos) << method;
  }
}

TEST_F(FinishedSchedule, AReadjustmentGivesAFactorFileWithABucketForEachLength) {
  for (const char* name : {"short/factors.json", "factors.json"}) {
    const FactorFile file = Factors(*schedule_, name);
    ASSERT_EQ(file.buckets.size(), 3u) << name;
    EXPECT_EQ(file.buckets[0].length, 256);
    EXPECT_EQ(file.buckets[1].length, 300);
    EXPECT_EQ(file.buckets[2].length, 400);
    EXPECT_EQ(file.buckets[2].factors, Factors(*schedule_, "two/factors.json").Longest().factors);
    const FactorSet set = file.Set();
    EXPECT_EQ(set.For(200), file.buckets[0].factors);
    EXPECT_EQ(set.For(257), file.buckets[1].factors) << "a longer text moves up";
    EXPECT_EQ(set.For(301), file.buckets[2].factors);
    const float bound = *std::ranges::max_element(file.buckets[2].factors.lambda);
    for (const FileBucket& bucket : file.buckets) {
      for (float lambda : bucket.factors.lambda) EXPECT_LE(lambda, bound);
    }
    EXPECT_TRUE(file.provenance["scores"].contains("short-256"));
    EXPECT_TRUE(file.provenance["scores"].contains("two"));
  }
  const std::string table = SlurpFile(schedule_->Path("table.csv"));
  for (const char* row : {"short-256,unchanged,", "short-256,none,", "short-256,blend-0.5,",
                          "short-300,yarn,", "short-300,searched,"}) {
    EXPECT_NE(table.find(row), std::string::npos) << row;
  }
  EXPECT_EQ(table.find("short-256,yarn,"), std::string::npos) << "within 256 it is none";
}

TEST_F(FinishedSchedule, RowsOfAnEvaluationAreWhatAScorerSaysOfTheirFactorsOnTheirModel) {
  const Json results = JsonOf(schedule_->Path("rows/results.json"));
  const auto engine = MakeEngine({});
  const ModelFolder base(testing::SourcePath("data/tiny"), {});
  const ModelFolder tuned(schedule_->Path("tune/leg-1/output"), {});
  const auto tokenizer = OpenTokenizer(testing::SourcePath("data/tiny").string(), 4096);
  StageOptions stage = schedule_->Stage("rows");
  stage.length = 400;
  const auto documents = DrawStageDocuments(schedule_->job, stage, *tokenizer);
  ASSERT_EQ(results["documents"].size(), 2u);
  const auto perplexity = [&](const ModelFolder& model, const RopeFactors& factors,
                              int64_t length) {
    const Scorer scorer(*engine, model, {});
    Score total;
    for (const Document& document : documents) {
      const auto tokens = std::span(document.tokens).first(static_cast<size_t>(length));
      const Score score = *scorer.ScoreTokens(tokens, factors);
      total.nats += score.nats;
      total.tokens += score.tokens;
    }
    return Perplexity(total.nats, total.tokens);
  };
  const auto expect = [&](const std::string& row, int64_t length, const ModelFolder& model,
                          const RopeFactors& factors) {
    const Json cell = Cell(results, row, length);
    ASSERT_FALSE(cell.is_null()) << row;
    EXPECT_EQ(cell["perplexity"].get<double>(), perplexity(model, factors, length)) << row;
    EXPECT_LE(cell["interval"][0].get<double>(), cell["perplexity"].get<double>());
    EXPECT_GE(cell["interval"][1].get<double>(), cell["perplexity"].get<double>());
  };
  const RopeShape shape = base.config().Rope();
  const RopeFactors plain = MethodFactors(RopeMethod::kNone, shape, 1, 0);
  const FactorFile one = Factors(*schedule_, "one/factors.json");
  const FactorFile two = Factors(*schedule_, "two/factors.json");
  const FactorFile all = Factors(*schedule_, "short/factors.json");
  expect("base:none", 400, base, plain);
  expect("base:yarn", 400, base, MethodFactors(RopeMethod::kYarn, shape, 400.0 / 256, 400));
  expect("base:yarn", 256, base, plain);
  expect("one", 400, base, one.Longest().factors);
  RopeFactors carried = one.Longest().factors;
  expect("tune", 400, tuned, carried);
  expect("two", 400, tuned, two.Longest().factors);
  expect("short", 256, tuned, all.buckets[0].factors);
  expect("short", 400, tuned, two.Longest().factors);
  expect("tune:pi", 400, tuned,
         MethodFactorsAfter(RopeMethod::kPi, shape, {320, carried}, 400, 400));
  EXPECT_EQ(Cell(results, "short", 256)["model"], "tune");
  EXPECT_NE(Cell(results, "one", 256)["perplexity"], Cell(results, "tune", 256)["perplexity"])
      << "equal factors, other weights";
  EXPECT_TRUE(Cell(results, "base:none", 256)["to_reference_percent"].is_null()) << "it is that";
  EXPECT_TRUE(Cell(results, "one", 256)["to_reference_percent"].is_number());
}

TEST_F(FinishedSchedule, DocumentsOfOnePurposeAreNotAnothers) {
  const FactorFile file = Factors(*schedule_, "factors.json");
  for (const auto& [stage, corpus] : file.provenance["corpus"].items()) {
    for (const Json& document : corpus["fitness"]) {
      EXPECT_TRUE(document["title"] == "0" || document["title"] == "1") << stage;
    }
    for (const Json& document : corpus["held_out"]) {
      EXPECT_TRUE(document["title"] == "2" || document["title"] == "3") << stage;
    }
  }
  const Json results = JsonOf(schedule_->Path("rows/results.json"));
  for (const Json& document : results["documents"]) {
    EXPECT_TRUE(document["title"] == "2" || document["title"] == "3");
  }
}

TEST_F(FinishedSchedule, IsDoneAndStaysSo) {
  const auto before = testing::FinalFiles(schedule_->Path("."));
  const std::string rows = SlurpFile(schedule_->Path("rows/results.json"));
  EXPECT_EQ(schedule_->Resume(), RunEnd::kAlreadyDone);
  EXPECT_EQ(testing::FinalFiles(schedule_->Path(".")), before);
  EXPECT_EQ(SlurpFile(schedule_->Path("rows/results.json")), rows);
}

TEST(Schedule, AFinishedStageIsRefusedWithOtherKeysByName) {
  Schedule schedule;
  ASSERT_EQ(schedule.Start(), RunEnd::kDone);
  const auto refused = [&](const std::string& setting, const std::string& key) {
    schedule.Set(setting);
    EXPECT_REFUSED(schedule.Resume(), "other values of " + key);
  };
  refused("stages.tune.steps=[5]", "stages.tune.steps");
  refused("stages.tune.factors=[\"yarn@320\"]", "stages.tune.factors");
  refused("stages.rows.documents=1", "stages.rows.documents");
  refused("stages.short.population=9", "stages.short-256.population");
  refused("stages.two.bound=3", "stages.two.bound");
  refused("stages.short.lengths=[256]", "stages.short.lengths");
  refused("data.train_books=[\"5\"]", "data.train_books");
  schedule.Set("stages.tune.command=false");
  EXPECT_EQ(schedule.Resume(), RunEnd::kAlreadyDone) << "how it was trained is no result";
}

// A budget of an early stage is raised: what was built on its result must not stand beside it.
TEST(Schedule, ALaterStageIsNotKeptWhereAnEarlierOneGoesOn) {
  Schedule schedule;
  ASSERT_EQ(schedule.Start(), RunEnd::kDone);
  const auto before = testing::FinalFiles(schedule.Path("."));
  schedule.Set("stages.one.generations=3");
  EXPECT_REFUSED(schedule.Resume(), "--from tune");
  EXPECT_EQ(testing::FinalFiles(schedule.Path(".")), before);
}

TEST(Schedule, WhatIsSetAsideIsMovedAndRunAgain) {
  Schedule schedule;
  ASSERT_EQ(schedule.Start(), RunEnd::kDone);
  const auto before = testing::FinalFiles(schedule.Path("."));
  EXPECT_EQ(StagesFrom(schedule.job, "two"), (std::vector<std::string>{"two", "short", "rows"}));
  EXPECT_EQ(StagesFrom(schedule.job, "rows"), (std::vector<std::string>{"rows"}));
  EXPECT_REFUSED(StagesFrom(schedule.job, "tow"), "allowed: one, tune, two, short, rows");
  {
    const RunFolder folder = RunFolder::Open(FileSystem::Real(), schedule.Path(""));
    EXPECT_EQ(SetAside(folder, StagesFrom(schedule.job, "two")),
              (folder.path() / "aside-1").string());
  }
  EXPECT_FALSE(fs::exists(schedule.Path("two")));
  EXPECT_TRUE(fs::exists(schedule.Path("tune/leg-1/done.json")));
  EXPECT_EQ(SlurpFile(schedule.Path("aside-1/two/history.csv")), before.at("two/history.csv"));
  schedule.Set("stages.two.bound=1.1");
  ASSERT_EQ(schedule.Resume(), RunEnd::kDone);
  EXPECT_NE(SlurpFile(schedule.Path("two/history.csv")), before.at("two/history.csv"));
  EXPECT_EQ(SlurpFile(schedule.Path("one/history.csv")), before.at("one/history.csv"));
}

// Hours of the stages before them would be lost.
TEST(Schedule, TextsOfAllStagesAreLookedForBeforeTheFirstRuns) {
  const auto refuses = [](const auto& change, const std::string& what) {
    Schedule schedule;
    change(schedule);
    EXPECT_REFUSED(schedule.Start(), what);
    EXPECT_FALSE(fs::exists(schedule.Path("")));
  };
  refuses([](Schedule& schedule) { schedule.job.data.evaluate_path = schedule.Path("no"); },
          "data.evaluate_path: ");
  refuses([](Schedule& schedule) { schedule.Stage("rows").documents = 50; },
          "stage rows is to draw 50 documents from ");
  refuses(
      [](Schedule& schedule) {
        schedule.Stage("rows").evaluate.protocols = {"passkey"};
        schedule.Stage("rows").lengths = {64, 400};
      },
      "stages.rows.lengths: a passkey in 64 tokens");
  refuses([](Schedule& schedule) { schedule.Stage("tune").finetune.factors.front() = "yarn@100"; },
          "stages.tune.factors: 'yarn@100'; allowed: a length above");
  const auto train_elsewhere = [](Schedule& schedule) {
    schedule.job.data.train_path = schedule.Path("no");
    schedule.job.data.train_books = {};
  };
  refuses(
      [&](Schedule& schedule) {
        train_elsewhere(schedule);
        schedule.Stage("tune").finetune.command = "cat {tokens}";
      },
      "data.train_path: ");
  Schedule untrained;  // whose command reads none
  train_elsewhere(untrained);
  EXPECT_EQ(untrained.Start(), RunEnd::kDone);
}

TEST(Schedule, ALeftOutReadjustmentNeedsSomethingExtended) {
  Schedule schedule;
  schedule.job.stages = {schedule.Stage("short")};
  schedule.job.stages[0].model = kBaseModel;
  schedule.job.stages[0].extends = "";
  EXPECT_REFUSED(schedule.Start(), "nothing is extended");
  EXPECT_FALSE(fs::exists(schedule.Path("")));
}

}  // namespace
}  // namespace longrope
