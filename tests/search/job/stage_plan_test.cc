#include "search/job/stage_plan.h"

#include <gtest/gtest.h>

#include <cmath>
#include <set>

#include "search/job/search_stage.h"
#include "tests/search/fake_evaluator.h"
#include "tests/search/job/small_run.h"
#include "tests/support/compare.h"
#include "tests/support/refusal.h"

namespace longrope {
namespace {

constexpr RopeShape kShape{32, 10000, 256};

StageOptions Options() { return testing::SmallJob("").stages[0]; }

class CountingListener final : public StageListener {
 public:
  int64_t scores = 0;
  int generations = 0;
  void OnScore(const StageState&, const Task&, double) override { ++scores; }
  void OnDrawn(const StageState&, int) override {}
  void OnStopped(const StageState&) override {}
  void OnGeneration(const StageState&, int) override { ++generations; }
  void OnBaselinesFailed() override {}
  void OnEarlyEnd(const StageState&, int, const char*) override {}
};

TEST(StagePlan, TheBoundIs125PercentOfTheRatioUnlessStated) {
  StageOptions options = Options();
  EXPECT_EQ(PlanStage(options, {kShape}).ratio, 8);
  EXPECT_EQ(PlanStage(options, {kShape}).space.max_step(), 900);  // 10.00
  options.bound = 3.5;
  EXPECT_EQ(PlanStage(options, {kShape}).space.max_step(), 250);
}

TEST(StagePlan, TheAttentionFactorFollowsItsPolicy) {
  StageOptions options = Options();
  const auto planned = [&](const char* text) {
    options.attention = text;
    return PlanStage(options, {kShape});
  };
  EXPECT_TRUE(testing::Close(*planned("longrope").attention_factor,
                             std::sqrt(1 + std::log(8) / std::log(256)), 1e-15));
  EXPECT_TRUE(testing::Close(*planned("yarn").attention_factor, 0.1 * std::log(8) + 1, 1e-15));
  EXPECT_EQ(*planned("none").attention_factor, 1);
  EXPECT_EQ(*planned("1.0625").attention_factor, 1.0625);
  const StagePlan searched = planned("search");
  EXPECT_FALSE(searched.attention_factor.has_value());
  // 1.25 * 1.1726 = 1.4657: the grid ends at 1.46.
  EXPECT_EQ(searched.space.max_attention_step(), 46);
  EXPECT_EQ(planned("none").space.max_attention_step(), 0);
}

TEST(StagePlan, ALengthThatNeedsNoExtensionIsRefused) {
  StageOptions options = Options();
  for (const int64_t length : {2, 255, 256}) {
    options.length = length;
    EXPECT_REFUSED(PlanStage(options, {kShape}),
                   "stages.extend.length: " + std::to_string(length) +
                       "; allowed: above the model's original length, 256");
  }
  options.length = 257;
  EXPECT_NO_THROW(PlanStage(options, {kShape}));
}

TEST(StagePlan, BaselinesAreEveryMethodWithBothAttentionFactors) {
  const StagePlan plan = PlanStage(Options(), {kShape});
  const auto own = StageBaselines(plan, std::nullopt);
  ASSERT_EQ(own.size(), 5u);
  for (size_t i = 0; i < 5; ++i) {
    EXPECT_EQ(own[i].attention, "own");
    EXPECT_EQ(own[i].method, NameOf(AllRopeMethods()[i]));
    EXPECT_EQ(own[i].factors.start_tokens, 0);
  }
  EXPECT_TRUE(testing::Close(own[4].factors.attention_factor, 0.1 * std::log(8) + 1, 1e-15));
  EXPECT_EQ(own[1].factors.attention_factor, 1);
  const auto both = StageBaselines(plan, 1.17);
  ASSERT_EQ(both.size(), 10u);
  for (size_t i = 0; i < 10; i += 2) {
    EXPECT_EQ(both[i].attention, "own");
    EXPECT_EQ(both[i + 1].attention, "run");
    EXPECT_EQ(both[i + 1].factors.attention_factor, 1.17);
    EXPECT_EQ(both[i + 1].factors.lambda, both[i].factors.lambda);
    EXPECT_EQ(both[i + 1].method, both[i].method);
  }
  EXPECT_EQ(StageBaselines(plan, 1).size(), 6u);  // only YaRN's own m is another
  // Unsnapped: YaRN's ramp is not on the grid.
  const auto exact = MethodLambda(RopeMethod::kYarn, kShape, 8, 2048);
  EXPECT_EQ(both[8].factors.lambda[5], static_cast<float>(exact[5]));
}

TEST(StagePlan, DynamicNtkIsTheRowOfTheTargetLength) {
  const auto baselines = StageBaselines(PlanStage(Options(), {kShape}), std::nullopt);
  EXPECT_EQ(baselines[3].method, "dynamic-ntk");
  EXPECT_TRUE(testing::CloseRelative(static_cast<double>(baselines[3].factors.lambda[15]),
                                     8.0 * 8 - 7, 1e-6));
}

TEST(StagePlan, PlansTheScoresThatAWholeRunMakes) {
  for (const char* attention : {"longrope", "yarn", "none", "1.05", "search"}) {
    for (const int held_out : {0, 2}) {
      for (const int64_t budget : {3, 7, 1000}) {
        StageOptions options = Options();
        options.attention = attention;
        options.held_out = held_out;
        options.max_evaluations = budget;
        const StagePlan plan = PlanStage(options, {kShape});
        StageState state(options);
        testing::FakeEvaluator evaluator;
        CountingListener listener;
        SearchStage stage(plan, 5, evaluator, &state, listener);
        ASSERT_EQ(stage.Run({}), StageEnd::kDone);
        EXPECT_EQ(listener.scores, state.ScoreCount());
        if (plan.attention_factor) {
          EXPECT_EQ(listener.scores, plan.PlannedScores()) << attention << " " << budget;
        } else {
          EXPECT_LE(listener.scores, plan.PlannedScores());  // the winner's m may be a method's own
          EXPECT_GE(listener.scores, plan.PlannedScores() - 5 * (options.documents + held_out));
        }
      }
    }
  }
}

TEST(SearchStage, TheDefaultScheduleMakes1344Evaluations) {
  for (const int64_t length : {2048, 1 << 20}) {
    StageOptions options = DefaultStage(length);
    options.name = "s";
    options.length = length;
    const StagePlan plan = PlanStage(options, {kShape});
    StageState state(options);
    testing::FakeEvaluator evaluator;
    std::set<std::pair<int64_t, int>> seen;
    CountingListener listener;
    SearchStage stage(plan, 5, evaluator, &state, listener);
    ASSERT_EQ(stage.Run({}), StageEnd::kDone);
    const int64_t wanted = length == 2048 ? 1344 : 672;
    EXPECT_EQ(state.population.SettledCount(), wanted);
    EXPECT_EQ(static_cast<int64_t>(state.population.candidates().size()), wanted);
    EXPECT_EQ(listener.generations, 41);
    const int64_t saved = wanted * options.documents - state.population.SettledScores();
    EXPECT_EQ(listener.scores, plan.PlannedScores() - saved);
    // Of held-out scores only the winner has some.
    for (const Candidate& candidate : state.population.candidates()) {
      EXPECT_EQ(state.population.HeldOut(candidate.id).has_value(),
                candidate.id == state.Winner()->id);
    }
  }
}

}  // namespace
}  // namespace longrope
