#include "search/job/stage_plan.h"

#include <algorithm>
#include <charconv>
#include <cmath>

#include "eval/errors.h"
#include "eval/number_text.h"
#include "search/blend_family.h"
#include "search/curve_family.h"
#include "search/seeds.h"

namespace longrope {
namespace {

constexpr double kBoundPerRatio = 1.25;          // paper, table 1
constexpr double kAttentionBoundRatio = 1.25;    // of a searched m, over the longrope policy's
constexpr double kBlends[] = {0.25, 0.5, 0.75};  // of seeds and baselines of a readjustment

bool Readjusts(const StageOptions& options) { return options.kind == "readjust"; }

double RatioOf(int64_t length, int64_t to) {
  return static_cast<double>(length) / static_cast<double>(to);
}

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

// The shape as the genes see it: a second interpolation starts from the length reached before.
RopeShape GeneShape(const StagePlan& plan) {
  RopeShape shape = plan.model.shape;
  if (plan.model.given && !Readjusts(plan.options)) {
    shape.original_length = plan.model.given->length;
  }
  return shape;
}

double LargestOf(const RopeFactors& factors) {
  return double{*std::ranges::max_element(factors.lambda)};
}

double DefaultBound(const StagePlan& plan) {
  // The paper says "reduced": no pair turns slower than the slowest of the extended model.
  if (Readjusts(plan.options)) return std::max(1.0, LargestOf(plan.model.given->factors));
  return kBoundPerRatio * plan.extra;
}

SearchSpace SpaceOf(const StagePlan& plan) {
  const RopeShape& shape = plan.model.shape;
  // Of a readjustment: the extended model's, whose m must be in reach.
  const double reached = Readjusts(plan.options)
                             ? RatioOf(plan.model.given->length, shape.original_length)
                             : plan.ratio;
  SpaceOptions space;
  space.pairs = shape.head_dim / 2;
  space.bound = plan.options.bound.value_or(DefaultBound(plan));
  space.start_tokens = plan.options.start_tokens;
  space.search_attention = !plan.attention_factor.has_value();
  space.attention_factor = plan.attention_factor.value_or(1);
  space.attention_bound = kAttentionBoundRatio * AttentionFactor(AttentionPolicy::kLongrope,
                                                                 reached, shape.original_length);
  if (plan.model.given && !Readjusts(plan.options)) {
    space.previous = plan.model.given->factors.lambda;
  }
  return SearchSpace(space);
}

double PolicyAttention(const StagePlan& plan) {
  return AttentionFactor(AttentionPolicy::kLongrope, plan.ratio, plan.model.shape.original_length);
}

std::shared_ptr<const Family> FamilyOf(const StagePlan& plan) {
  const CurveSteps& steps = plan.options.evolution.warm_start.steps;
  if (!Readjusts(plan.options)) {
    const RampCurve centre = CentreCurve(GeneShape(plan), plan.extra, PolicyAttention(plan));
    return std::make_shared<CurveFamily>(plan.space, centre, steps);
  }
  BlendRamp centre;
  centre.width = plan.space.pairs();
  centre.attention_factor = (1 + plan.model.given->factors.attention_factor) / 2;
  return std::make_shared<BlendFamily>(plan.space, plan.model.given->factors.lambda, centre, steps);
}

// lambda^blend, m likewise, n-hat 0.
RopeFactors Blended(const RopeFactors& extended, double blend) {
  RopeFactors factors;
  for (float value : extended.lambda) {
    factors.lambda.push_back(static_cast<float>(std::pow(double{value}, blend)));
  }
  factors.attention_factor = std::pow(extended.attention_factor, blend);
  return factors;
}

Seed SnappedSeed(Origin origin, const RopeFactors& factors, const SearchSpace& space) {
  const std::vector<double> lambda(factors.lambda.begin(), factors.lambda.end());
  return {origin, space.Snap(lambda, factors.start_tokens, factors.attention_factor)};
}

std::vector<Seed> SeedsOf(const StagePlan& plan) {
  std::vector<Seed> seeds;
  double attention_before = 1;
  if (plan.model.given) {
    const RopeFactors& given = plan.model.given->factors;
    if (Readjusts(plan.options)) {
      seeds.push_back(SnappedSeed(Origin::kPlain, Blended(given, 0), plan.space));
      seeds.push_back(SnappedSeed(Origin::kExtended, given, plan.space));
      for (double blend : kBlends) {
        seeds.push_back(SnappedSeed(Origin::kSeedBlend, Blended(given, blend), plan.space));
      }
    } else {
      attention_before = given.attention_factor;
    }
  }
  const auto methods = MethodSeeds(plan.options.seeds, plan.space, GeneShape(plan), plan.extra,
                                   plan.options.yarn, attention_before);
  seeds.insert(seeds.end(), methods.begin(), methods.end());
  return seeds;
}

void CheckLength(const StageOptions& options, const StageModel& model) {
  const auto refuse = [&](const std::string& allowed) {
    throw InputError("stages." + options.name + "." + (Readjusts(options) ? "lengths" : "length") +
                     ": " + std::to_string(options.length) + "; allowed: " + allowed);
  };
  if (Readjusts(options)) {
    if (!model.given) {
      throw InputError("stages." + options.name +
                       ": nothing is extended: no search stage is before it, and the model's "
                       "rotation is not rescaled");
    }
    if (options.length >= model.given->length) {
      refuse("below the length that the extended factors reach, " +
             std::to_string(model.given->length));
    }
  } else if (model.given && options.length <= model.given->length) {
    refuse("above the length that the model's factors reach, " +
           std::to_string(model.given->length));
  } else if (options.length <= model.shape.original_length) {
    refuse("above the model's original length, " + std::to_string(model.shape.original_length));
  }
}

// With its own m, the method's or the product of what goes before.
Baseline OwnBaseline(const StagePlan& plan, RopeMethod method) {
  Baseline baseline{std::string(NameOf(method)), "own", {}};
  const StageOptions& options = plan.options;
  if (plan.model.given && !Readjusts(options)) {
    if (method == RopeMethod::kNone) baseline.method = "unchanged";
    baseline.factors = MethodFactorsAfter(method, plan.model.shape, *plan.model.given,
                                          options.length, options.length, options.yarn);
  } else {
    baseline.factors =
        MethodFactors(method, plan.model.shape, plan.ratio, options.length, options.yarn);
  }
  return baseline;
}

std::vector<Baseline> OwnBaselines(const StagePlan& plan) {
  std::vector<Baseline> baselines;
  if (Readjusts(plan.options)) {
    const RopeFactors& extended = plan.model.given->factors;
    baselines.push_back({"unchanged", "own", extended});
    for (double blend : kBlends) {
      baselines.push_back({"blend-" + NumberText(blend), "own", Blended(extended, blend)});
    }
  }
  for (RopeMethod method : AllRopeMethods()) {
    // Within the original length every method is none.
    if (plan.ratio <= 1 && method != RopeMethod::kNone) continue;
    baselines.push_back(OwnBaseline(plan, method));
  }
  return baselines;
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

StagePlan PlanStage(const StageOptions& options, const StageModel& model) {
  CheckLength(options, model);
  StagePlan plan{.options = options,
                 .model = model,
                 .ratio = std::max(1.0, RatioOf(options.length, model.shape.original_length)),
                 .space = SearchSpace({.pairs = 1, .start_tokens = {0}})};
  plan.extra = model.given && !Readjusts(options) ? RatioOf(options.length, model.given->length)
                                                  : plan.ratio;
  plan.attention_factor = FixedAttention(options, model.shape, plan.ratio);
  plan.space = SpaceOf(plan);
  plan.seeds = SeedsOf(plan);
  plan.family = FamilyOf(plan);
  if (options.bound && *options.bound < plan.extra) {
    plan.warning = "stage " + options.name + ": bound " + NumberText(*options.bound) +
                   " is below the ratio " + NumberText(plan.extra) +
                   ": the seeds are cut off there and are not what their names say";
  }
  return plan;
}

std::vector<Baseline> StageBaselines(const StagePlan& plan, std::optional<double> run_attention) {
  std::vector<Baseline> baselines;
  for (const Baseline& own : OwnBaselines(plan)) {
    baselines.push_back(own);
    if (!run_attention || *run_attention == own.factors.attention_factor) continue;
    baselines.push_back(own);
    baselines.back().attention = "run";
    baselines.back().factors.attention_factor = *run_attention;
  }
  return baselines;
}

}  // namespace longrope
