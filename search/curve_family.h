// A small family of curves in which good factors lie: a ramp in frequency, as YaRN's (arXiv
// 2309.00071), whose start, width, height and curvature are free.
#pragma once

#include <span>
#include <vector>

#include "eval/rope_factors.h"
#include "search/family.h"
#include "search/space.h"

namespace longrope {

// lambda_i = 1 / ((1 - r_i) / end_scale + r_i), r_i = 1 - clamp((i - start) / width, 0,
// 1)^curvature. YaRN is the member of curvature 1 with its own ends of the ramp and end_scale s; PI
// the one whose ramp ends before pair 0; NTK is near one.
struct RampCurve {
  double start = 0, width = 1;  // in pairs
  double end_scale = 1;
  double curvature = 1;
  double attention_factor = 1;  // m
};

std::vector<double> CurveLambda(const RampCurve& curve, int pairs);

// How far one step goes along each parameter.
struct CurveSteps {
  double start = 4;        // in pairs
  double width = 0.5;      // of its logarithm
  double end_scale = 0.2;  // of its logarithm
  double curvature = 0.4;  // of its logarithm
  double attention_factor = 0.05;
};

// The family on the grid of a space: points are numbers of steps from a centre.
class CurveFamily final : public Family {
 public:
  // m is a parameter where the space searches it.
  CurveFamily(SearchSpace space, const RampCurve& centre, const CurveSteps& steps);

  // 5 where m is searched, else 4.
  int dimension() const override;
  RampCurve At(std::span<const double> point) const;
  Genome GenomeAt(std::span<const double> point) const override;

 private:
  SearchSpace space_;
  RampCurve centre_;
  CurveSteps steps_;
};

// Where a search for factors of ratio s begins: YaRN's ramp for the model, m half-way between 1 and
// `attention_factor`.
RampCurve CentreCurve(const RopeShape& shape, double ratio, double attention_factor);

}  // namespace longrope
