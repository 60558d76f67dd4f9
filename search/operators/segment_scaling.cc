#include "search/operators/segment_scaling.h"

#include <algorithm>
#include <cmath>

#include "search/operators/repair.h"

namespace longrope {

Genome ScaleSegment(const Genome& parent, const SearchSpace& space, Rng& rng) {
  constexpr double kLogScale = 0.25;
  const auto pairs = static_cast<uint32_t>(parent.steps.size());
  const uint32_t one = rng.Below(pairs), other = rng.Below(pairs);
  const size_t first = std::min(one, other), last = std::max(one, other) + size_t{1};
  const double scale = std::exp(kLogScale * rng.Normal());
  std::vector<double> lambda = LambdaOf(parent);
  for (size_t i = first; i < last; ++i) lambda[i] = 1 + (lambda[i] - 1) * scale;
  return WithLambda(parent, lambda, space, first, last);
}

}  // namespace longrope
