// A family of factors between none and those of an extended model: what a readjustment to short
// texts looks for.
#pragma once

#include <vector>

#include "search/curve_family.h"
#include "search/family.h"
#include "search/space.h"

namespace longrope {

// lambda_i = extended_i^b_i: b = 0 leaves pair i as it was trained first, 1 as it is extended. b
// goes from `fast` to `slow` along a ramp over the pairs.
struct BlendRamp {
  double start = 0, width = 1;  // in pairs
  double fast = 0.5, slow = 0.5;
  double attention_factor = 1;  // m
};

std::vector<double> BlendLambda(const BlendRamp& ramp, const std::vector<float>& extended);

class BlendFamily final : public Family {
 public:
  // The steps of start, width and attention_factor are those of CurveSteps; `fast` moves by its
  // curvature, `slow` by its end_scale. m is a parameter where the space searches it.
  BlendFamily(SearchSpace space, std::vector<float> extended, const BlendRamp& centre,
              const CurveSteps& steps);

  int dimension() const override;
  BlendRamp At(std::span<const double> point) const;
  Genome GenomeAt(std::span<const double> point) const override;

 private:
  SearchSpace space_;
  std::vector<float> extended_;
  BlendRamp centre_;
  CurveSteps steps_;
};

}  // namespace longrope
