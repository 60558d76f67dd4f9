#include "search/job/stage_plan.h"

#include <algorithm>
#include <charconv>

#include "eval/errors.h"
#include "search/number_text.h"
#include "search/seeds.h"

namespace longrope {
namespace {

constexpr double kBoundPerRatio = 1.25;        // paper, table 1
constexpr double kAttentionBoundRatio = 1.25;  // of a searched m, over the longrope policy's

std::optional<double> FixedAttention(const StageOptions& options, const RopeShape& shape,
                                     double ratio) {
  const std::string& text = options.attention;
  const auto policy = [&](AttentionPolicy p) {
    return AttentionFactor(p, ratio, shape.original_length);
  };
  if (text == "search") return std::nullopt;
  if (text == "longrope") return policy(AttentionPolicy::kLongrope);
  if (text == "yarn") return policy(AttentionPolicy::kYarn);
  if (text == "none") return policy(AttentionPolicy::kNone);
  double number = 1;  // the schema accepts nothing else
  std::from_chars(text.data(), text.data() + text.size(), number);
  return number;
}

SearchSpace SpaceOf(const StageOptions& options, const RopeShape& shape, double ratio,
                    std::optional<double> attention) {
  SpaceOptions space;
  space.pairs = shape.head_dim / 2;
  space.bound = options.bound.value_or(kBoundPerRatio * ratio);
  space.start_tokens = options.start_tokens;
  space.search_attention = !attention.has_value();
  space.attention_factor = attention.value_or(1);
  space.attention_bound = kAttentionBoundRatio *
                          AttentionFactor(AttentionPolicy::kLongrope, ratio, shape.original_length);
  return SearchSpace(space);
}

}  // namespace

std::string MethodLabel(const Baseline& baseline) {
  return baseline.method + (baseline.attention == "run" ? " (m of the run)" : "");
}

int64_t StagePlan::Evaluations() const {
  return std::min(ScheduledEvaluations(), options.max_evaluations.value_or(INT64_MAX));
}

int64_t StagePlan::ScheduledEvaluations() const {
  return options.evolution.Evaluations(space.start_count());
}

int64_t StagePlan::PlannedScores(std::optional<double> winners_attention) const {
  const double run = attention_factor.value_or(winners_attention.value_or(-1));
  const auto baselines = StageBaselines(*this, run).size();
  return Evaluations() * options.documents +
         static_cast<int64_t>(baselines) * (options.documents + options.held_out) +
         options.held_out;
}

StagePlan PlanStage(const StageOptions& options, const RopeShape& shape) {
  if (options.length <= shape.original_length) {
    throw InputError("stages." + options.name + ".length: " + std::to_string(options.length) +
                     "; allowed: above the model's original length, " +
                     std::to_string(shape.original_length));
  }
  const double ratio =
      static_cast<double>(options.length) / static_cast<double>(shape.original_length);
  const auto attention = FixedAttention(options, shape, ratio);
  StagePlan plan{options, shape, ratio, attention, SpaceOf(options, shape, ratio, attention)};
  plan.centre = CentreCurve(
      shape, ratio, AttentionFactor(AttentionPolicy::kLongrope, ratio, shape.original_length));
  plan.seeds = MethodSeeds(options.seeds, plan.space, shape, ratio, options.yarn);
  if (options.bound && *options.bound < ratio) {
    plan.warning = "stage " + options.name + ": bound " + NumberText(*options.bound) +
                   " is below the ratio " + NumberText(ratio) +
                   ": the seeds are cut off there and are not what their names say";
  }
  return plan;
}

std::vector<Baseline> StageBaselines(const StagePlan& plan, std::optional<double> run_attention) {
  std::vector<Baseline> baselines;
  for (RopeMethod method : AllRopeMethods()) {
    const RopeFactors own =
        MethodFactors(method, plan.shape, plan.ratio, plan.options.length, plan.options.yarn);
    baselines.push_back({std::string(NameOf(method)), "own", own});
    if (!run_attention || *run_attention == own.attention_factor) continue;
    baselines.push_back({std::string(NameOf(method)), "run", own});
    baselines.back().factors.attention_factor = *run_attention;
  }
  return baselines;
}

}  // namespace longrope
