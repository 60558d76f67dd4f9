#include "search/operators/prefix_crossover.h"

#include <algorithm>

namespace longrope {

Genome CrossPrefix(const Genome& better, const Genome& other, const SearchSpace& space, Rng& rng) {
  const bool turned = rng.Chance(0.5);
  const Genome &prefix = turned ? other : better, &suffix = turned ? better : other;
  const auto pairs = static_cast<uint32_t>(space.pairs());
  const size_t cut = pairs > 1 ? 1 + rng.Below(pairs - 1) : 0;
  Genome child = better;
  for (size_t i = 0; i < child.steps.size(); ++i) {
    child.steps[i] = (i < cut ? prefix : suffix).steps[i];
    if (i > 0) child.steps[i] = std::max(child.steps[i], child.steps[i - 1]);
  }
  if (rng.Chance(0.5)) child.start_index = other.start_index;
  if (rng.Chance(0.5)) child.attention_step = other.attention_step;
  return child;
}

}  // namespace longrope
