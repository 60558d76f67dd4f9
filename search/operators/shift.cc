#include "search/operators/shift.h"

#include <algorithm>
#include <cmath>

#include "search/operators/repair.h"

namespace longrope {

Genome Shift(const Genome& parent, const SearchSpace& space, Rng& rng) {
  const std::vector<double> lambda = LambdaOf(parent);
  const auto last = static_cast<double>(lambda.size() - 1);
  const double by = rng.Normal() * static_cast<double>(lambda.size()) / 16;
  std::vector<double> shifted;
  for (size_t i = 0; i < lambda.size(); ++i) {
    const double at = std::clamp(static_cast<double>(i) - by, 0.0, last);
    const auto below = static_cast<size_t>(at);
    const size_t above = std::min(below + 1, lambda.size() - 1);
    shifted.push_back(std::lerp(lambda[below], lambda[above], at - static_cast<double>(below)));
  }
  return WithLambda(parent, shifted, space, 0, lambda.size());
}

}  // namespace longrope
