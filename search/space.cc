#include "search/space.h"

#include <algorithm>
#include <cmath>
#include <stdexcept>
#include <utility>

namespace longrope {
namespace {

constexpr int kStepsPerOne = 100;  // 1 / kGridStep, exact

// The last step at or below `value`; the slack is for bounds such as 1.1 that binary cannot hold.
int32_t LastStep(double value) {
  return static_cast<int32_t>(std::floor((value - 1) * kStepsPerOne + 1e-6));
}

int32_t NearestStep(double value, int32_t last) {
  const double step = std::round((value - 1) * kStepsPerOne);
  return static_cast<int32_t>(std::clamp(step, 0.0, static_cast<double>(last)));
}

double ValueOf(int32_t step) { return static_cast<double>(kStepsPerOne + step) / kStepsPerOne; }

}  // namespace

SearchSpace::SearchSpace(SpaceOptions options) : options_(std::move(options)) {
  if (options_.pairs < 1 || !(options_.bound >= 1) || !(options_.bound <= 1e6) ||
      options_.start_tokens.empty() || !std::ranges::is_sorted(options_.start_tokens)) {
    throw std::invalid_argument("an empty search space");
  }
  max_step_ = LastStep(options_.bound);
  if (options_.search_attention) max_attention_step_ = LastStep(options_.attention_bound);
}

bool SearchSpace::Contains(const Genome& genome) const {
  if (static_cast<int>(genome.steps.size()) != options_.pairs) return false;
  int32_t left = 0;
  for (int32_t step : genome.steps) {
    if (step < left || step > max_step_) return false;
    left = step;
  }
  return genome.start_index >= 0 && genome.start_index < start_count() &&
         genome.attention_step >= 0 && genome.attention_step <= max_attention_step_;
}

Genome SearchSpace::Snap(std::span<const double> lambda, int64_t start_tokens,
                         double attention_factor) const {
  Genome genome;
  int32_t left = 0;
  for (double value : lambda) {
    left = std::max(left, NearestStep(value, max_step_));
    genome.steps.push_back(left);
  }
  const auto distance = [&](int64_t value) { return std::llabs(value - start_tokens); };
  const auto nearest = std::ranges::min_element(options_.start_tokens, {}, distance);
  genome.start_index = static_cast<int32_t>(nearest - options_.start_tokens.begin());
  genome.attention_step = NearestStep(attention_factor, max_attention_step_);
  return genome;
}

Genome SearchSpace::Largest() const {
  return {std::vector<int32_t>(static_cast<size_t>(options_.pairs), max_step_), start_count() - 1,
          max_attention_step_};
}

RopeFactors SearchSpace::Decode(const Genome& genome) const {
  RopeFactors factors;
  for (size_t i = 0; i < genome.steps.size(); ++i) {
    const double before = options_.previous.empty() ? 1.0 : double{options_.previous[i]};
    factors.lambda.push_back(static_cast<float>(before * ValueOf(genome.steps[i])));
  }
  factors.start_tokens = options_.start_tokens[static_cast<size_t>(genome.start_index)];
  factors.attention_factor =
      options_.search_attention ? ValueOf(genome.attention_step) : options_.attention_factor;
  return factors;
}

}  // namespace longrope
