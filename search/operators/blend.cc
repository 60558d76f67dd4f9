#include "search/operators/blend.h"

#include <algorithm>
#include <cmath>

#include "search/operators/repair.h"

namespace longrope {

Genome Blend(const Genome& better, const Genome& other, const SearchSpace& space, Rng& rng) {
  const double w = -0.5 + 1.5 * rng.Unit();
  std::vector<double> lambda = LambdaOf(better);
  const std::vector<double> towards = LambdaOf(other);
  for (size_t i = 0; i < lambda.size(); ++i) {
    lambda[i] = std::pow(lambda[i], 1 - w) * std::pow(towards[i], w);
  }
  Genome child = WithLambda(better, lambda, space, 0, lambda.size());
  const double attention = std::round((1 - w) * better.attention_step + w * other.attention_step);
  child.attention_step = static_cast<int32_t>(
      std::clamp(attention, 0.0, static_cast<double>(space.max_attention_step())));
  if (rng.Chance(0.5)) child.start_index = other.start_index;
  return child;
}

}  // namespace longrope
