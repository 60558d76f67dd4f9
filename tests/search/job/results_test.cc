#include "search/job/results.h"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <sstream>

#include "tests/search/job/small_run.h"

namespace longrope {
namespace {

constexpr double kInfinity = std::numeric_limits<double>::infinity();

TableRow Row(const char* stage, const char* method, double fitness,
             std::optional<double> held_out) {
  TableRow row;
  row.stage = stage;
  row.method = method;
  row.fitness = fitness;
  row.held_out = held_out;
  return row;
}

TEST(Verdict, SaysWhichDocumentsTheWinnerWinsOn) {
  EXPECT_EQ(Verdict({}), "");
  EXPECT_EQ(
      Verdict({Row("s", "pi", 5, 6), Row("s", "yarn", 4, 5), Row("s", "searched", 3, 4)}),
      "s: the winner beats every baseline on the fitness documents and beats every baseline on "
      "the held-out documents\n");
  EXPECT_EQ(Verdict({Row("s", "yarn", 4, 5), Row("s", "searched", 3, 5.5)}),
            "s: the winner beats every baseline on the fitness documents and does not beat every "
            "baseline on the held-out documents\n");
  EXPECT_EQ(Verdict({Row("s", "yarn", 4, 5), Row("s", "searched", 4, 4)}),  // a draw is no win
            "s: the winner does not beat every baseline on the fitness documents and beats every "
            "baseline on the held-out documents\n");
  EXPECT_EQ(Verdict({Row("s", "yarn", 4, std::nullopt), Row("s", "searched", 3, std::nullopt)}),
            "s: the winner beats every baseline on the fitness documents\n");
  EXPECT_EQ(Verdict({Row("s", "yarn", 4, 5), Row("s", "searched", 3, kInfinity)}),
            "s: the winner beats every baseline on the fitness documents and does not beat every "
            "baseline on the held-out documents\n");
}

TEST(Verdict, TheBetterOfAMethodsTwoRowsCounts) {
  const TableRow own = Row("s", "yarn", 5, 5), with_m = Row("s", "yarn (m of the run)", 3, 5);
  EXPECT_NE(Verdict({own, with_m, Row("s", "searched", 4, 4)}).find("does not beat"),
            std::string::npos);
}

TEST(Verdict, EachStageHasItsOwnBaselines) {
  const std::string text = Verdict({Row("a", "pi", 2, 2), Row("a", "searched", 1, 1),
                                    Row("b", "pi", 0.5, 0.5), Row("b", "searched", 0.9, 0.1)});
  EXPECT_TRUE(
      text.starts_with("a: the winner beats every baseline on the fitness documents and "
                       "beats every baseline on the held-out documents\n"))
      << text;
  EXPECT_NE(text.find("b: the winner does not beat every baseline on the fitness"),
            std::string::npos);
}

TEST(TableText, MarksTheBestOfEachColumnOfEachStage) {
  const std::string text = TableText(
      {Row("a", "pi", 5, 1), Row("a", "searched", 4, 2), Row("b", "pi", 3, std::nullopt)});
  std::istringstream lines(text);
  std::string header, pi, searched, other;
  std::getline(lines, header);
  std::getline(lines, pi);
  std::getline(lines, searched);
  std::getline(lines, other);
  EXPECT_EQ(pi.find("5.0000*"), std::string::npos);
  EXPECT_NE(pi.find("1.0000*"), std::string::npos);
  EXPECT_NE(searched.find("4.0000*"), std::string::npos);
  EXPECT_EQ(searched.find("2.0000*"), std::string::npos);
  EXPECT_NE(other.find("3.0000*"), std::string::npos);
  EXPECT_EQ(other.back(), '-');
}

TEST(TableCsv, LeavesMissingNumbersEmptyAndKeepsAllDigits) {
  EXPECT_EQ(TableCsv({Row("s", "pi", 0.1 + 0.2, std::nullopt), Row("s", "ntk", kInfinity, 1)}),
            "stage,method,attention_factor,start_tokens,fitness_perplexity,held_out_perplexity\n"
            "s,pi,1,0,0.30000000000000004,\ns,ntk,1,0,inf,1\n");
}

TEST(HistoryCsv, HasALineForEveryCandidateThatIsSettledAndNoOther) {
  StageOptions options = testing::TinyJob("").stages[0];
  options.documents = 2;
  const RopeShape shape{4, 10000, 256};
  const StagePlan plan = PlanStage(options, {shape});
  StageState state(options);
  state.population.Add(0, Origin::kPi, {kNoParent, kNoParent}, {{700, 700}, 0, 0});
  state.population.Add(1, Origin::kCrossover, {0, 1}, {{0, 114}, 4, 0});
  state.population.Add(1, Origin::kMutation, {0, kNoParent}, {{0, 115}, 0, 0});
  state.population.SetScore(0, 0, {10.5, 10});
  state.population.SetScore(0, 1, {kInfinity, 10});
  state.population.SetScore(0, 2, {1, 10});
  state.population.SetScore(1, 0, {0, 10});
  state.population.SetScore(1, 1, {0, 7});
  state.population.SetScore(2, 0, {1, 10});  // the other document is missing
  state.population.Add(2, Origin::kShift, {1, kNoParent}, {{5, 115}, 0, 0});
  state.population.SetScore(3, 0, {99, 10});  // and here it is not asked for
  state.population.Stop(3, StopReason::kCertain);
  EXPECT_EQ(HistoryCsv({{plan, state}}),
            "stage,id,generation,origin,parents,start_tokens,attention_factor,perplexity,stopped,"
            "nats,tokens,lambda\n"
            "extend,0,0,pi,,0,1,inf,,10.5 inf,10 10,8 8\n"
            "extend,1,1,crossover,0 1,8,1,1,,0 0,10 7,1 2.14\n"
            "extend,3,2,shift,1,0,1,,certain,99,10,1.05 2.15\n");
}

// Six candidates of hand-made fitness, two parents: who stood among the best two in its generation?
TEST(OperatorText, CountsWhatEachOperatorMadeAndWhatSurvived) {
  Job job = testing::SmallJob("");
  job.stages[0].evolution.parents = 2;
  job.stages[0].documents = 1;
  job.stages[0].held_out = 0;
  const StagePlan plan = PlanStage(job.stages[0], {testing::FakeStages().shape});
  StageState state(job.stages[0]);
  const auto add = [&](int generation, Origin origin, double nats) {
    Genome genome = plan.seeds[0].genome;
    genome.start_index = static_cast<int32_t>(state.population.candidates().size());
    state.population.Add(generation, origin, {kNoParent, kNoParent}, genome);
    const auto id = static_cast<int64_t>(state.population.candidates().size()) - 1;
    if (nats > 0) state.population.SetScore(id, 0, {nats, 10});
  };
  add(0, Origin::kPi, 30);
  add(0, Origin::kNtk, 20);
  add(0, Origin::kYarn, 25);      // pi falls out
  add(1, Origin::kMutation, 22);  // yarn falls out
  add(1, Origin::kMutation, 40);
  add(2, Origin::kSegment, 10);
  add(2, Origin::kSegment, 0);  // not evaluated: does not count
  EXPECT_EQ(OperatorText({plan, state}),
            "  pi                made     1, survived     0\n"
            "  ntk               made     1, survived     1\n"
            "  yarn              made     1, survived     1\n"
            "  mutation          made     2, survived     1\n"
            "  segment           made     1, survived     1\n")
      << "one document: nothing to race over";
}

TEST(OperatorText, CountsWhatRacingStopped) {
  const StageOptions options = testing::SmallJob("").stages[0];
  const StagePlan plan = PlanStage(options, {testing::FakeStages().shape});
  StageState state(options);
  for (int i = 0; i < 3; ++i) {
    Genome genome = plan.seeds[0].genome;
    genome.start_index = i;
    state.population.Add(0, Origin::kMutation, {kNoParent, kNoParent}, genome);
    state.population.SetScore(i, 0, {1, 10});
  }
  state.population.Stop(0, StopReason::kCertain);
  state.population.Stop(2, StopReason::kLikely);
  EXPECT_EQ(OperatorText({plan, state}),
            "  mutation          made     2, survived     0\n"
            "  racing stopped 2 (certain 1, likely 1): 2 scores saved\n");
}

TEST(WinningFactors, OfEqualLengthsTheLaterStageCounts) {
  StageOptions options = testing::TinyJob("").stages[0];
  const RopeShape shape{4, 10000, 256};
  const auto state_with = [&](const char* name, int32_t step) {
    StageOptions named = options;
    named.name = name;
    StageState state(named);
    state.fingerprint = {{"model", "digest"}, {"document 0", "A Title 12ab"}};
    state.population.Add(0, Origin::kPi, {kNoParent, kNoParent}, {{0, step}, 0, 0});
    state.population.SetScore(0, 0, {1, 10});
    return state;
  };
  const StagePlan plan = PlanStage(options, {shape});
  StageOptions longer = options;
  longer.length = 4096;
  const StagePlan long_plan = PlanStage(longer, {shape});
  const StageState far = state_with("far", 300), first = state_with("first", 100),
                   second = state_with("second", 200);
  const FactorFile file =
      WinningFactors({{long_plan, far}, {plan, first}, {plan, second}}, "digest of the job");
  ASSERT_EQ(file.buckets.size(), 2u);
  EXPECT_EQ(file.buckets[0].length, 2048);
  EXPECT_EQ(file.buckets[0].factors.lambda, (std::vector<float>{1, 3}));
  EXPECT_EQ(file.buckets[1].length, 4096);
  EXPECT_EQ(file.buckets[1].factors.lambda, (std::vector<float>{1, 4}));
  EXPECT_EQ(file.original_length, 256);
  EXPECT_EQ(file.head_dim, 4);
  EXPECT_EQ(file.provenance["job_digest"], "digest of the job");
  EXPECT_EQ(file.provenance["model_digest"], "digest");
  EXPECT_EQ(file.provenance["corpus"]["far"]["fitness"][0]["title"], "A Title");
  EXPECT_FALSE(file.provenance["scores"].contains("first"));
}

}  // namespace
}  // namespace longrope
