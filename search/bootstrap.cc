#include "search/bootstrap.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <stdexcept>

namespace longrope {
namespace {

constexpr double kNaN = std::numeric_limits<double>::quiet_NaN();

// Of nats per token over the documents that pick(count) chooses, so many times.
template <class Pick>
double MeanDifference(const PairedScores& seed, const Pick& pick) {
  double first = 0, second = 0, first_tokens = 0, second_tokens = 0;
  for (size_t i = 0; i < seed.first.size(); ++i) {
    const size_t document = pick(i, seed.first.size());
    first += seed.first[document].nats;
    second += seed.second[document].nats;
    first_tokens += static_cast<double>(seed.first[document].tokens);
    second_tokens += static_cast<double>(seed.second[document].tokens);
  }
  return first / first_tokens - second / second_tokens;
}

template <class Pick>
double Percent(const std::vector<PairedScores>& seeds, const Pick& pick) {
  double sum = 0;
  for (size_t i = 0; i < seeds.size(); ++i) {
    sum += MeanDifference(seeds[pick(i, seeds.size())], pick);
  }
  if (!std::isfinite(sum)) return kNaN;
  return 100 * std::expm1(sum / static_cast<double>(seeds.size()));
}

}  // namespace

Difference BootstrapDifference(const std::vector<PairedScores>& seeds, double confidence,
                               int64_t resamples, Rng& rng) {
  for (const PairedScores& seed : seeds) {
    if (seed.first.size() != seed.second.size() || seed.first.empty()) {
      throw std::invalid_argument("scores of other documents cannot be paired");
    }
  }
  const double percent = Percent(seeds, [](size_t i, size_t) { return i; });
  if (!std::isfinite(percent)) return {kNaN, kNaN, kNaN};
  const auto draw = [&](size_t, size_t count) {
    return size_t{rng.Below(static_cast<uint32_t>(count))};
  };
  std::vector<double> samples;
  for (int64_t i = 0; i < resamples; ++i) samples.push_back(Percent(seeds, draw));
  std::ranges::sort(samples);
  const double tail = (1 - confidence) / 2 * static_cast<double>(resamples);
  const auto below = static_cast<size_t>(std::llround(tail));
  return {percent, samples[below], samples[samples.size() - 1 - below]};
}

}  // namespace longrope
