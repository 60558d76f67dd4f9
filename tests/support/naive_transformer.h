// What the engines compute, in plain double loops and by the textbook: no tiles, no library,
// nothing shared with them but the weights' views. Quadratic in memory and slow.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "eval/rope_factors.h"
#include "kernels/weights.h"

namespace longrope::testing {

// What follows tokens[0 ... i], for i in [0, T - 1).
struct NaiveScores {
  std::vector<double> nats;        // -ln p of tokens[i + 1]
  std::vector<int32_t> likeliest;  // the first word of the largest logit; -1 if one is not finite
};

NaiveScores NaiveScoresOf(const ModelShape& shape, const WeightSource& weights,
                          std::span<const int32_t> tokens, const RopeFactors& factors, double base);

// Its nats.
std::vector<double> NaiveNats(const ModelShape& shape, const WeightSource& weights,
                              std::span<const int32_t> tokens, const RopeFactors& factors,
                              double base);

}  // namespace longrope::testing
