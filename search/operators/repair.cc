#include "search/operators/repair.h"

#include <algorithm>
#include <cmath>

namespace longrope {

std::vector<double> LambdaOf(const Genome& genome) {
  std::vector<double> lambda;
  for (int32_t step : genome.steps) lambda.push_back(1 + kGridStep * step);
  return lambda;
}

Genome WithLambda(const Genome& genome, std::span<const double> lambda, const SearchSpace& space,
                  size_t first, size_t last) {
  Genome child = genome;
  for (size_t i = 0; i < child.steps.size(); ++i) {
    const double step = std::round((lambda[i] - 1) / kGridStep);
    child.steps[i] =
        static_cast<int32_t>(std::clamp(step, 0.0, static_cast<double>(space.max_step())));
  }
  for (size_t i = first + 1; i < child.steps.size(); ++i) {
    child.steps[i] = std::max(child.steps[i], child.steps[i - 1]);
  }
  for (size_t i = std::min(first, last); i > 0; --i) {
    child.steps[i - 1] = std::min(child.steps[i - 1], child.steps[i]);
  }
  return child;
}

}  // namespace longrope
