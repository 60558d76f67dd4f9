// Plans of stages that build on factors: second interpolations and readjustments.
#include <gtest/gtest.h>

#include <cmath>
#include <set>

#include "search/job/stage_plan.h"
#include "search/rng.h"
#include "tests/search/job/small_run.h"
#include "tests/support/compare.h"
#include "tests/support/refusal.h"

namespace longrope {
namespace {

using testing::Close;

constexpr RopeShape kShape{32, 10000, 256};

// Carried or extended factors that no closed form is, reaching 2048 tokens.
FactorBucket Given() {
  RopeFactors factors;
  for (int i = 0; i < 16; ++i) factors.lambda.push_back(static_cast<float>(1 + 0.0373 * i * i));
  factors.start_tokens = 16;
  factors.attention_factor = 1.1;
  return {2048, factors};
}

StageOptions Second() {
  StageOptions options = testing::SmallJob("").stages[0];
  options.length = 16384;
  return options;
}

StageOptions Readjustment(int64_t length) {
  StageOptions options = testing::SmallJob("").stages[0];
  options.kind = "readjust";
  options.length = length;
  options.evolution.population = 8;
  return options;
}

const Baseline& Named(const std::vector<Baseline>& baselines, const std::string& label) {
  for (const Baseline& baseline : baselines) {
    if (MethodLabel(baseline) == label) return baseline;
  }
  throw std::runtime_error("no baseline " + label);
}

TEST(SecondInterpolation, GenesReachTheExtraRatioAndMTheWhole) {
  const StagePlan plan = PlanStage(Second(), {kShape, Given()});
  EXPECT_EQ(plan.ratio, 64);
  EXPECT_EQ(plan.extra, 8);
  EXPECT_EQ(plan.space.max_step(), 900) << "1.25 * 8";
  EXPECT_TRUE(
      Close(*plan.attention_factor, std::sqrt(1 + std::log(64.0) / std::log(256.0)), 1e-14));
}

TEST(SecondInterpolation, CandidatesAreTheGivenFactorsTimesTheirGenes) {
  const StagePlan plan = PlanStage(Second(), {kShape, Given()});
  Genome genome = plan.seeds[0].genome;
  for (int32_t i = 0; i < 16; ++i) genome.steps[static_cast<size_t>(i)] = 3 * i;
  genome.start_index = 2;
  const RopeFactors factors = plan.space.Decode(genome);
  for (size_t i = 0; i < 16; ++i) {
    const double given = double{Given().factors.lambda[i]};
    EXPECT_EQ(factors.lambda[i], static_cast<float>(given * (1 + 0.03 * static_cast<double>(i))));
  }
  EXPECT_EQ(factors.start_tokens, plan.options.start_tokens[2]) << "the second n-hat is the one";
}

// method.md: the methods for the extra ratio, L = the length reached before, times what is given.
TEST(SecondInterpolation, SeedsAndBaselinesAreMethodsFromTheLengthReachedBefore) {
  const StagePlan plan = PlanStage(Second(), {kShape, Given()});
  const RopeShape from{32, 10000, 2048};
  const auto baselines = StageBaselines(plan, plan.attention_factor);
  const std::pair<RopeMethod, const char*> methods[] = {
      {RopeMethod::kPi, "pi"}, {RopeMethod::kNtk, "ntk"}, {RopeMethod::kYarn, "yarn"}};
  for (size_t s = 0; s < 3; ++s) {
    const auto [method, name] = methods[s];
    const auto lambda = MethodLambda(method, from, 8, 16384);
    const RopeFactors seed = plan.space.Decode(plan.seeds[s].genome);
    const RopeFactors& baseline = Named(baselines, name).factors;
    for (size_t i = 0; i < 16; ++i) {
      const double exact = double{Given().factors.lambda[i]} * lambda[i];
      EXPECT_EQ(baseline.lambda[i], static_cast<float>(exact)) << name;
      EXPECT_LE(std::abs(double{seed.lambda[i]} - exact),
                0.00501 * double{Given().factors.lambda[i]})
          << name;
    }
    EXPECT_EQ(baseline.start_tokens, 0);
    EXPECT_TRUE(Close(baseline.attention_factor, 1.1 * OwnAttentionFactor(method, 8), 1e-14));
    EXPECT_EQ(Named(baselines, std::string(name) + " (m of the run)").factors.attention_factor,
              *plan.attention_factor);
  }
  EXPECT_EQ(Named(baselines, "unchanged").factors, Given().factors) << "n-hat and m too";
}

TEST(SecondInterpolation, AWarmStartIsOverGenes) {
  StageOptions options = Second();
  options.attention = "search";
  const StagePlan plan = PlanStage(options, {kShape, Given()});
  Rng rng(1, "points", 0, 0);
  for (int i = 0; i < 200; ++i) {
    std::vector<double> point;
    for (int d = 0; d < plan.family->dimension(); ++d) point.push_back(3 * rng.Normal());
    const Genome genome = plan.family->GenomeAt(point);
    ASSERT_TRUE(plan.space.Contains(genome));
    const RopeFactors factors = plan.space.Decode(genome);
    for (size_t p = 0; p < 16; ++p) EXPECT_GE(factors.lambda[p], Given().factors.lambda[p]);
  }
}

TEST(SecondInterpolation, MustReachFurtherThanTheModelDoes) {
  StageOptions options = Second();
  options.length = 2048;
  EXPECT_REFUSED(PlanStage(options, {kShape, Given()}),
                 "stages.extend.length: 2048; allowed: above the length that the model's factors "
                 "reach, 2048");
}

TEST(SecondInterpolation, TakesTheSmallerScheduleAboveHalfAMillion) {
  const StageOptions options = DefaultStage(2097152);
  EXPECT_EQ(options.documents, 3);
  EXPECT_EQ(options.evolution.population, 32);
  EXPECT_EQ(options.evolution.mutations, 8);
  EXPECT_EQ(options.evolution.crossovers, 8);
  EXPECT_EQ(options.evolution.parents, 16);
  const RopeShape llama{128, 10000, 4096};
  const FactorBucket given{262144, {std::vector<float>(64, 64), 0, 1.2}};
  StageOptions stage = options;
  stage.name = "extend-2048k";
  stage.length = 2097152;
  const StagePlan plan = PlanStage(stage, {llama, given});
  EXPECT_EQ(plan.Evaluations(), 672);
  EXPECT_EQ(plan.ratio, 512);
  EXPECT_EQ(plan.extra, 8);
}

TEST(Readjustment, IsBoundedByTheLargestExtendedFactor) {
  const StagePlan plan = PlanStage(Readjustment(512), {kShape, Given()});
  const double largest = double{Given().factors.lambda.back()};  // 9.39...
  EXPECT_EQ(plan.space.max_step(), static_cast<int32_t>(std::floor((largest - 1) * 100)));
  EXPECT_EQ(plan.ratio, 2);
  StageOptions narrow = Readjustment(512);
  narrow.bound = 3;
  EXPECT_EQ(PlanStage(narrow, {kShape, Given()}).space.max_step(), 200);
}

TEST(Readjustment, BeginsWithNoChangeTheExtendedFactorsAndBlendsOfBoth) {
  const StagePlan plan = PlanStage(Readjustment(512), {kShape, Given()});
  ASSERT_EQ(plan.seeds.size(), 8u);
  const auto seed = [&](size_t i) { return plan.space.Decode(plan.seeds[i].genome); };
  EXPECT_EQ(plan.seeds[0].origin, Origin::kPlain);
  EXPECT_EQ(seed(0).lambda, std::vector<float>(16, 1));
  EXPECT_EQ(plan.seeds[1].origin, Origin::kExtended);
  EXPECT_EQ(seed(1).start_tokens, 16);
  const double blends[] = {0.25, 0.5, 0.75};
  for (size_t i = 0; i < 16; ++i) {
    const double given = double{Given().factors.lambda[i]};
    EXPECT_LE(std::abs(double{seed(1).lambda[i]} - given), 0.00501);
    for (size_t b = 0; b < 3; ++b) {
      EXPECT_LE(std::abs(double{seed(2 + b).lambda[i]} - std::pow(given, blends[b])), 0.00501);
    }
  }
  EXPECT_EQ(plan.seeds[5].origin, Origin::kPi);
  EXPECT_EQ(seed(5).lambda, std::vector<float>(16, 2)) << "s = 512 / 256";
}

TEST(Readjustment, BaselinesAreItsSeedsUnsnappedAndLeavingItAsItIs) {
  const StagePlan plan = PlanStage(Readjustment(512), {kShape, Given()});
  const auto baselines = StageBaselines(plan, std::nullopt);
  EXPECT_EQ(Named(baselines, "unchanged").factors, Given().factors);
  EXPECT_EQ(Named(baselines, "none").factors.lambda, std::vector<float>(16, 1));
  for (const char* name : {"blend-0.25", "blend-0.5", "blend-0.75", "pi", "ntk", "yarn"}) {
    EXPECT_EQ(Named(baselines, name).factors.start_tokens, 0) << name;
  }
  EXPECT_TRUE(Close(Named(baselines, "blend-0.5").factors.attention_factor, std::sqrt(1.1), 1e-14));
  // Within the original length every method is none: one row says so.
  std::set<std::string> within;
  for (const Baseline& baseline :
       StageBaselines(PlanStage(Readjustment(256), {kShape, Given()}), std::nullopt)) {
    within.insert(baseline.method);
  }
  EXPECT_EQ(within,
            (std::set<std::string>{"unchanged", "blend-0.25", "blend-0.5", "blend-0.75", "none"}));
}

TEST(Readjustment, ASearchedMReachesThatOfTheExtendedModel) {
  StageOptions options = Readjustment(256);
  options.attention = "search";
  const StagePlan plan = PlanStage(options, {kShape, Given()});
  // 1.25 sqrt(1 + ln 8 / ln 256) = 1.4657.
  EXPECT_EQ(plan.space.max_attention_step(), 46);
  options.attention = "longrope";
  EXPECT_EQ(*PlanStage(options, {kShape, Given()}).attention_factor, 1) << "of its own length";
}

TEST(Readjustment, AWarmStartIsOverBlends) {
  StageOptions options = Readjustment(512);
  options.attention = "search";
  const StagePlan plan = PlanStage(options, {kShape, Given()});
  const RopeFactors centre = plan.space.Decode(plan.family->GenomeAt(std::vector<double>(5, 0.0)));
  for (size_t i = 0; i < 16; ++i) {
    const double half = std::sqrt(double{Given().factors.lambda[i]});
    EXPECT_LE(std::abs(double{centre.lambda[i]} - half), 0.00501);
  }
  EXPECT_EQ(centre.attention_factor, 1.05);
  Rng rng(1, "points", 0, 0);
  for (int i = 0; i < 500; ++i) {
    std::vector<double> point;
    for (int d = 0; d < 5; ++d) point.push_back((i % 10) * 3 * rng.Normal());
    ASSERT_TRUE(plan.space.Contains(plan.family->GenomeAt(point)));
  }
}

TEST(Readjustment, IsForTextsShorterThanTheExtendedLength) {
  EXPECT_REFUSED(PlanStage(Readjustment(2048), {kShape, Given()}),
                 "stages.extend.lengths: 2048; allowed: below the length that the extended factors "
                 "reach, 2048");
  StageModel bare;
  bare.shape = kShape;
  EXPECT_REFUSED(PlanStage(Readjustment(512), bare), "nothing is extended");
}

}  // namespace
}  // namespace longrope
