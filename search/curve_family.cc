#include "search/curve_family.h"

#include <algorithm>
#include <cmath>
#include <numbers>
#include <utility>

namespace longrope {

std::vector<double> CurveLambda(const RampCurve& curve, int pairs) {
  std::vector<double> lambda;
  for (int i = 0; i < pairs; ++i) {
    const double along = std::clamp((i - curve.start) / curve.width, 0.0, 1.0);
    const double kept = 1 - std::pow(along, curve.curvature);  // r_i
    lambda.push_back(1 / ((1 - kept) / curve.end_scale + kept));
  }
  return lambda;
}

CurveFamily::CurveFamily(SearchSpace space, const RampCurve& centre, const CurveSteps& steps)
    : space_(std::move(space)), centre_(centre), steps_(steps) {}

int CurveFamily::dimension() const { return space_.max_attention_step() > 0 ? 5 : 4; }

RampCurve CurveFamily::At(std::span<const double> point) const {
  // Far out the exponentials would overflow; no curve changes there any more.
  const auto scaled = [](double value, double steps, double step) {
    return value * std::exp(std::clamp(steps * step, -20.0, 20.0));
  };
  RampCurve curve = centre_;
  curve.start += steps_.start * point[0];
  curve.width = scaled(curve.width, point[1], steps_.width);
  curve.end_scale = scaled(curve.end_scale, point[2], steps_.end_scale);
  curve.curvature = scaled(curve.curvature, point[3], steps_.curvature);
  if (point.size() > 4) curve.attention_factor += steps_.attention_factor * point[4];
  return curve;
}

Genome CurveFamily::GenomeAt(std::span<const double> point) const {
  const RampCurve curve = At(point);
  return space_.Snap(CurveLambda(curve, space_.pairs()), 0, curve.attention_factor);
}

RampCurve CentreCurve(const RopeShape& shape, double ratio, double attention_factor) {
  // Pair that turns `times` within the original length.
  const auto pair_of = [&](double times) {
    return shape.head_dim *
           std::log(static_cast<double>(shape.original_length) / (2 * std::numbers::pi * times)) /
           (2 * std::log(shape.base));
  };
  const double last = shape.head_dim / 2.0 - 1;
  RampCurve centre;
  centre.start = std::clamp(pair_of(32), 0.0, last);
  centre.width = std::clamp(pair_of(1), centre.start + 1, last + 1) - centre.start;
  centre.end_scale = ratio;
  centre.attention_factor = 1 + (attention_factor - 1) / 2;
  return centre;
}

}  // namespace longrope
