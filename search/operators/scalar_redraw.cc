#include "search/operators/scalar_redraw.h"

#include <algorithm>
#include <cmath>

namespace longrope {

Genome RedrawScalar(const Genome& parent, const SearchSpace& space, Rng& rng) {
  constexpr double kSteps = 3;  // of 0.01
  Genome child = parent;
  const bool attention = space.max_attention_step() > 0, start = space.start_count() > 1;
  if (attention && (!start || rng.Chance(0.5))) {
    const double step = std::round(parent.attention_step + kSteps * rng.Normal());
    child.attention_step = static_cast<int32_t>(
        std::clamp(step, 0.0, static_cast<double>(space.max_attention_step())));
  } else if (start) {
    child.start_index = static_cast<int32_t>(rng.Below(static_cast<uint32_t>(space.start_count())));
  }
  return child;
}

}  // namespace longrope
