#include "search/mutation.h"

namespace longrope {
namespace {

constexpr int kMaxSweeps = 1000;

// Uniform in [low, high].
int32_t Between(int32_t low, int32_t high, Rng& rng) {
  return low + static_cast<int32_t>(rng.Below(static_cast<uint32_t>(high - low) + 1));
}

void RedrawStart(Genome* genome, const SearchSpace& space, Rng& rng) {
  genome->start_index = Between(0, space.start_count() - 1, rng);
}

void RedrawAttention(Genome* genome, const SearchSpace& space, Rng& rng) {
  genome->attention_step = Between(0, space.max_attention_step(), rng);
}

}  // namespace

void Sweep(Genome* genome, const SearchSpace& space, double rate, Rng& rng) {
  auto& steps = genome->steps;
  for (size_t i = 0; i < steps.size(); ++i) {
    if (!rng.Chance(rate)) continue;
    const int32_t left = i == 0 ? 0 : steps[i - 1];
    const int32_t right = i + 1 == steps.size() ? space.max_step() : steps[i + 1];
    steps[i] = Between(left, right, rng);
  }
  if (rng.Chance(rate)) RedrawStart(genome, space, rng);
  if (rng.Chance(rate)) RedrawAttention(genome, space, rng);
}

void RedrawScalars(Genome* genome, const SearchSpace& space, Rng& rng) {
  RedrawStart(genome, space, rng);
  RedrawAttention(genome, space, rng);
}

std::optional<Genome> Mutate(const Genome& parent, const SearchSpace& space, double rate,
                             const GenomeSet& known, Rng& rng) {
  Genome child = parent;
  for (int sweep = 0; sweep < kMaxSweeps; ++sweep) {
    Sweep(&child, space, rate, rng);
    if (!known.contains(child)) return child;
  }
  return std::nullopt;
}

}  // namespace longrope
