// Whole studies that take milliseconds, on FakeStages.
#include "search/study/study.h"

#include <gtest/gtest.h>

#include <cmath>
#include <cstdio>

#include "search/study/study_report.h"
#include "tests/search/job/small_run.h"
#include "tests/support/compare.h"
#include "tests/support/refusal.h"
#include "tests/support/temp_folder.h"

namespace longrope {
namespace {
namespace fs = std::filesystem;

using testing::ScratchFolder;
using testing::SlurpFile;

constexpr const char* kText = R"(
seeds: [1, 2]
lengths: [1024, 2048]
marks: [4, 8, 40]
resamples: 200
model: {path: /m}
data: {path: /d}
stage: {documents: 2, held_out: 3}
methods:
  - {name: paper, population: 6, generations: 2, mutations: 2, crossovers: 2, parents: 4}
  - {name: frugal, preset: frugal, warm_evaluations: 8, warm_batch: 4, generations: 1,
     start_tokens: [0, 16], lengths: [2048]}
)";

Study StudyIn(const ScratchFolder& folder, const std::vector<std::string>& settings = {}) {
  testing::WriteFile(folder / "study.yaml", kText);
  std::vector<std::string> all = settings;
  all.push_back("output.folder=" + (folder / "out").string());
  return ReadStudy(folder / "study.yaml", all);
}

// Lends one FakeStages to every cell; a seed's documents are its own.
class LentStages final : public StageEvaluators {
 public:
  LentStages(testing::FakeStages& stages, const std::string& model, int64_t seed, int64_t length)
      : stages_(stages) {
    const std::string own = std::to_string(seed) + " " + std::to_string(length);
    stages_.evaluator.fingerprint = {{"model", model}, {"engine", "formula"}};
    for (int i = 0; i < 5; ++i) {
      stages_.evaluator.fingerprint.emplace_back("document " + std::to_string(i),
                                                 own + " " + std::to_string(i));
    }
  }
  StageModel ModelAt(const std::string& path) override { return stages_.ModelAt(path); }
  Evaluator* For(const StageOptions& stage, const std::string& path,
                 std::stop_token stop) override {
    return stages_.For(stage, path, stop);
  }
  void Release() override {}
  std::string FindNonFiniteWeight() override { return ""; }

 private:
  testing::FakeStages& stages_;
};

struct StudyRun {
  explicit StudyRun(Study the_study) : study(std::move(the_study)) {}

  Study study;
  std::string model = "fake";
  testing::FakeStages stages;
  testing::KeepingObserver observer;

  std::optional<std::vector<CellResult>> Run() {
    StudyRunner runner(
        study, FileSystem::Real(),
        [this](const Job& job, RunObserver&) {
          return std::make_unique<LentStages>(stages, model, job.seed, job.stages[0].length);
        },
        observer);
    return runner.Run({});
  }
};

TEST(Study, RunsEveryCellAndWritesWhatItFound) {
  const ScratchFolder folder;
  StudyRun run(StudyIn(folder));
  const auto results = run.Run();
  ASSERT_TRUE(results.has_value());
  ASSERT_EQ(results->size(), 6u);
  for (const CellResult& result : *results) {
    for (size_t i = 1; i < result.points.size(); ++i) {
      EXPECT_LE(result.points[i].fitness, result.points[i - 1].fitness);
      EXPECT_GT(result.points[i].scores, result.points[i - 1].scores);
    }
    for (const CellPoint& point : result.points) {
      EXPECT_TRUE(std::isfinite(HeldOutPerplexity(point.held_out)));
    }
    EXPECT_EQ(result.points.front().evaluations, 4);
    EXPECT_EQ(result.points.front().scores, 8);
  }
  EXPECT_EQ(SlurpFile(folder / "out/curve.csv"), CurveCsv(run.study, *results));
  EXPECT_EQ(SlurpFile(folder / "out/summary.csv"), SummaryCsv(Summary(run.study, *results)));
  EXPECT_TRUE(fs::exists(folder / "out/cells/frugal-2048-2/factors.json"));
}

TEST(Study, AStopAfterAnyScoreGivesEqualResults) {
  const ScratchFolder whole;
  StudyRun undisturbed(StudyIn(whole));
  ASSERT_TRUE(undisturbed.Run().has_value());
  const int64_t all = undisturbed.stages.evaluator.scores;
  for (int64_t stop = 1; stop < all; stop += 19) {
    const ScratchFolder folder;
    StudyRun first(StudyIn(folder));
    first.stages.evaluator.stop_after = stop;
    ASSERT_FALSE(first.Run().has_value());
    StudyRun second(StudyIn(folder));
    ASSERT_TRUE(second.Run().has_value());
    EXPECT_EQ(first.stages.evaluator.scores + second.stages.evaluator.scores, all) << stop;
    for (const char* file : {"out/curve.csv", "out/summary.csv"}) {
      ASSERT_EQ(SlurpFile(folder / file), SlurpFile(whole / file)) << stop;
    }
  }
}

TEST(Study, AFinishedStudyScoresNothing) {
  const ScratchFolder folder;
  ASSERT_TRUE(StudyRun(StudyIn(folder)).Run().has_value());
  const std::string curve = SlurpFile(folder / "out/curve.csv");
  StudyRun again(StudyIn(folder));
  ASSERT_TRUE(again.Run().has_value());
  EXPECT_EQ(again.stages.evaluator.scores, 0);
  EXPECT_EQ(SlurpFile(folder / "out/curve.csv"), curve);
  // Nor where only the scores are left.
  fs::remove_all(folder / "out/cells");
  ASSERT_TRUE(again.Run().has_value());
  EXPECT_EQ(again.stages.evaluator.scores, 0);
  EXPECT_EQ(SlurpFile(folder / "out/curve.csv"), curve);
}

TEST(Study, MethodsShareScores) {
  const ScratchFolder folder;
  const Study study = StudyIn(folder);
  StudyRun run(study);
  ASSERT_TRUE(run.Run().has_value());
  int64_t alone = 0;
  for (const StudyCell& cell : study.cells) {
    const ScratchFolder other;
    StudyRun one(study);
    one.study.folder = (other / "out").string();
    one.study.cells = {cell};
    one.study.cells[0].job.output.folder = (other / "out/cell").string();
    one.study.reference = cell.method;
    ASSERT_TRUE(one.Run().has_value());
    alone += one.stages.evaluator.scores;
  }
  EXPECT_LT(run.stages.evaluator.scores, alone);
}

TEST(Study, ARaisedBudgetGoesOnAndALoweredOneIsRefused) {
  const ScratchFolder folder;
  StudyRun run(StudyIn(folder, {"methods.paper.max_evaluations=9"}));
  ASSERT_TRUE(run.Run().has_value());
  StudyRun raised(StudyIn(folder, {"methods.paper.max_evaluations=12"}));
  const auto results = raised.Run();
  ASSERT_TRUE(results.has_value());
  EXPECT_EQ(results->front().Last().evaluations, 12);
  StudyRun lowered(StudyIn(folder, {"methods.paper.max_evaluations=5"}));
  EXPECT_REFUSED(lowered.Run(), "max_evaluations");
  StudyRun changed(StudyIn(folder, {"methods.paper.parents=3"}));
  EXPECT_REFUSED(changed.Run(), "parents");
}

TEST(Study, AnotherModelOrOtherTextsAreRefusedWhereScoresAreMissing) {
  const ScratchFolder folder;
  StudyRun run(StudyIn(folder));
  run.stages.evaluator.stop_after = 150;  // some searches are done
  ASSERT_FALSE(run.Run().has_value());
  StudyRun other(StudyIn(folder));
  other.model = "other";
  EXPECT_REFUSED(other.Run(), "began with another model");
  // A finished one needs no model for what is known, and takes no other for what is not.
  StudyRun rest(StudyIn(folder));
  ASSERT_TRUE(rest.Run().has_value());
  StudyRun finished(StudyIn(folder));
  finished.model = "other";
  EXPECT_TRUE(finished.Run().has_value());
  StudyRun marked(StudyIn(folder, {"marks=[5, 7]"}));
  marked.model = "other";
  EXPECT_REFUSED(marked.Run(), "began with another model");
  // Searches of two models are no study.
  fs::remove_all(folder / "out/cells/paper-2048-2");
  fs::remove(folder / "out/scores.csv");
  EXPECT_REFUSED(finished.Run(), "began with another model");
}

TEST(Study, WhatDoesNotFitTheModelIsRefusedBeforeAnythingIsScored) {
  const ScratchFolder folder;
  StudyRun run(StudyIn(folder, {"lengths=[1024, 200]"}));
  EXPECT_REFUSED(run.Run(), "length: 200");
  EXPECT_EQ(run.stages.evaluator.scores, 0);
  EXPECT_FALSE(fs::exists(folder / "out"));
}

TEST(Study, OneProcessAtATimeWorksOnIt) {
  const ScratchFolder folder;
  StudyRun run(StudyIn(folder));
  fs::create_directories(folder / "out");
  const RunLock other(folder / "out");
  EXPECT_REFUSED(run.Run(), "is working on this run");
}

// Two seeds, one document each, numbers small enough to check by hand.
CellResult HandMade(const std::string& method, int64_t seed, double early, double late) {
  CellResult result;
  result.method = method;
  result.length = 1024;
  result.seed = seed;
  result.held_out = {"a book"};
  result.closed_form = "yarn";
  result.closed_fitness = 40;
  result.closed_held_out = {Score{400, 100}};
  result.points.push_back({10, 20, 0, 33, {Score{100 * early, 100}}});
  result.points.push_back({20, 40, 1, 30, {Score{100 * late, 100}}});
  return result;
}

TEST(StudyReport, SummariesAreGeometricMeansAndDifferencesToTheReference) {
  Study study;
  study.methods = {"paper", "frugal"};
  study.reference = "paper";
  study.resamples = 100;
  const std::vector<CellResult> results = {
      HandMade("paper", 1, 3.5, 3.3), HandMade("paper", 2, 3.6, 3.4),
      HandMade("frugal", 1, 3.2, 3.1), HandMade("frugal", 2, 3.5, 3.2)};
  const auto rows = Summary(study, results);
  ASSERT_EQ(rows.size(), 3u);
  EXPECT_EQ(rows[0].method, "closed form");
  EXPECT_TRUE(testing::Close(rows[0].held_out, std::exp(4.0), 1e-9));
  EXPECT_TRUE(testing::Close(rows[0].difference, 100 * std::expm1(4 - 3.35), 1e-9));
  EXPECT_EQ(rows[0].scores, 0);
  EXPECT_EQ(rows[1].method, "paper");
  EXPECT_FALSE(rows[1].compared);
  EXPECT_TRUE(testing::Close(rows[1].held_out, std::exp(3.35), 1e-9));
  EXPECT_TRUE(testing::Close(rows[1].fitness, 30, 1e-9));
  EXPECT_EQ(rows[2].scores, 40);
  EXPECT_TRUE(rows[2].compared);
  EXPECT_TRUE(testing::Close(rows[2].difference, 100 * std::expm1(-0.2), 1e-9));
  // Seed 1 is there at the first mark, seed 2 only at the end.
  EXPECT_EQ(rows[2].reached, 2u);
  EXPECT_EQ(rows[2].reached_scores, 40);
  const std::string text = SummaryText(study, rows);
  EXPECT_NE(text.find("2 of 2 seeds, by 40 scores"), std::string::npos) << text;
}

TEST(StudyReport, OnlyEqualHeldOutDocumentsAreCompared) {
  Study study;
  study.methods = {"paper", "frugal"};
  study.reference = "paper";
  study.resamples = 1000;
  std::vector<CellResult> results = {HandMade("paper", 1, 3.5, 3.3), HandMade("paper", 2, 3.5, 3.3),
                                     HandMade("frugal", 1, 1, 1), HandMade("frugal", 2, 3.2, 3.1)};
  results[2].held_out = {"another book"};
  const auto rows = Summary(study, results);
  EXPECT_TRUE(testing::Close(rows[2].difference, 100 * std::expm1(-0.2), 1e-9));
  EXPECT_EQ(rows[2].reached, 1u);
  results[3].held_out = {"a book", "another book"};
  EXPECT_FALSE(Summary(study, results)[2].compared);
  EXPECT_EQ(Summary(study, results)[2].reached, 0u);
}

TEST(StudyReport, AMethodReachesAnotherWhereItStaysThere) {
  Study study;
  study.methods = {"paper", "frugal"};
  study.reference = "paper";
  study.resamples = 100;
  // Early below, late above: lost again.
  EXPECT_EQ(
      Summary(study, {HandMade("paper", 1, 3.5, 3.3), HandMade("frugal", 1, 3.2, 3.4)})[2].reached,
      0u);
  EXPECT_EQ(Summary(study, {HandMade("paper", 1, 3.5, 3.3), HandMade("frugal", 1, 3.2, 3.2)})[2]
                .reached_scores,
            20);
  // The closed form (4 nats) is there from the start.
  EXPECT_EQ(Summary(study, {HandMade("paper", 1, 4, 4)})[0].reached, 1u);
  EXPECT_EQ(Summary(study, {HandMade("paper", 1, 4, 3.9)})[0].reached, 0u);
}

TEST(StudyReport, ALossThatIsNotFiniteIsNotReached) {
  Study study;
  study.methods = {"paper", "frugal"};
  study.reference = "paper";
  const std::vector<CellResult> results = {HandMade("paper", 1, 3.5, INFINITY),
                                           HandMade("frugal", 1, 3, INFINITY)};
  const auto rows = Summary(study, results);
  EXPECT_EQ(rows[2].reached, 0u);
  EXPECT_TRUE(std::isnan(rows[0].difference));
  EXPECT_NE(SummaryCsv(rows).find(",,,,,0,\n"), std::string::npos) << SummaryCsv(rows);
}

TEST(StudyReport, TheCurveHasALineForEveryMark) {
  Study study;
  study.reference = "paper";
  EXPECT_EQ(CurveCsv(study, {HandMade("paper", 1, 0, 0)}),
            "length,seed,method,scores,evaluations,fitness_perplexity,held_out_perplexity\n"
            "1024,1,closed form (yarn),0,0,40,54.598150033144236\n"
            "1024,1,paper,20,10,33,1\n1024,1,paper,40,20,30,1\n");
}

// Three candidates of two documents, the second one stopped after the first of them.
TEST(CellResult, PointsCountScoresAsBudgetsDo) {
  StageOptions options = testing::SmallJob("").stages[0];
  StageState state(options);
  const auto add = [&](int32_t start, std::vector<double> nats) {
    state.population.Add(0, Origin::kMutation, {kNoParent, kNoParent},
                         {std::vector<int32_t>(16, 3), start, 0});
    for (size_t i = 0; i < nats.size(); ++i) {
      state.population.SetScore(start, static_cast<int>(i), {nats[i], 10});
    }
  };
  add(0, {10, 10});
  add(1, {90});
  state.population.Stop(1, StopReason::kCertain);
  add(2, {5, 5, 7});
  add(3, {1});  // not settled
  const auto points = PointsOf(state, {1, 2, 3});
  ASSERT_EQ(points.size(), 3u);
  EXPECT_EQ(points[0].scores, 2);
  EXPECT_EQ(points[0].candidate, 0);
  // Two evaluations are four scores: the third candidate would have needed a fifth.
  EXPECT_EQ(points[1].scores, 3);
  EXPECT_EQ(points[1].evaluations, 2);
  EXPECT_EQ(points[1].candidate, 0);
  EXPECT_FALSE(points[1].held_out[0].has_value());
  EXPECT_EQ(points[2].scores, 5);
  EXPECT_EQ(points[2].candidate, 2);
  EXPECT_EQ(points[2].held_out[0], (Score{7, 10}));
}

}  // namespace
}  // namespace longrope
