#include "search/blend_family.h"

#include <algorithm>
#include <cmath>
#include <utility>

namespace longrope {

std::vector<double> BlendLambda(const BlendRamp& ramp, const std::vector<float>& extended) {
  std::vector<double> lambda;
  for (size_t i = 0; i < extended.size(); ++i) {
    const double along = std::clamp((static_cast<double>(i) - ramp.start) / ramp.width, 0.0, 1.0);
    const double blend = ramp.fast + (ramp.slow - ramp.fast) * along;
    lambda.push_back(std::pow(static_cast<double>(extended[i]), blend));
  }
  return lambda;
}

BlendFamily::BlendFamily(SearchSpace space, std::vector<float> extended, const BlendRamp& centre,
                         const CurveSteps& steps)
    : space_(std::move(space)), extended_(std::move(extended)), centre_(centre), steps_(steps) {}

int BlendFamily::dimension() const { return space_.max_attention_step() > 0 ? 5 : 4; }

BlendRamp BlendFamily::At(std::span<const double> point) const {
  // Far out nothing changes any more, and powers would overflow.
  const auto moved = [](double value, double steps, double step) {
    return value + std::clamp(steps * step, -20.0, 20.0);
  };
  BlendRamp ramp = centre_;
  ramp.start += steps_.start * point[0];
  ramp.width *= std::exp(moved(0, point[1], steps_.width));
  ramp.slow = moved(ramp.slow, point[2], steps_.end_scale);
  ramp.fast = moved(ramp.fast, point[3], steps_.curvature);
  if (point.size() > 4) ramp.attention_factor += steps_.attention_factor * point[4];
  return ramp;
}

Genome BlendFamily::GenomeAt(std::span<const double> point) const {
  const BlendRamp ramp = At(point);
  return space_.Snap(BlendLambda(ramp, extended_), 0, ramp.attention_factor);
}

}  // namespace longrope
