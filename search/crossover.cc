#include "search/crossover.h"

namespace longrope {

std::optional<Genome> Cross(const Genome& better, const Genome& other, const SearchSpace& space,
                            const CrossoverOptions& options, const GenomeSet& known, Rng& rng) {
  for (int attempt = 0; attempt < options.tries; ++attempt) {
    Genome child = better;
    for (size_t i = 0; i < child.steps.size(); ++i) {
      if (rng.Chance(options.rate)) child.steps[i] = other.steps[i];
    }
    if (rng.Chance(options.rate)) child.start_index = other.start_index;
    if (rng.Chance(options.rate)) child.attention_step = other.attention_step;
    if (space.Contains(child) && !known.contains(child)) return child;
  }
  return std::nullopt;
}

}  // namespace longrope
