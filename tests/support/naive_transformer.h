// What the engines compute, in plain double loops and by the textbook: no tiles, no library,
// nothing shared with them but the weights' views. Quadratic in memory and slow.
#pragma once

#include <span>
#include <vector>

#include "eval/rope_factors.h"
#include "kernels/weights.h"

namespace longrope::testing {

// -ln p(tokens[i + 1] | tokens[0 ... i]) for i in [0, T - 1), in nats.
std::vector<double> NaiveNats(const ModelShape& shape, const WeightSource& weights,
                              std::span<const int32_t> tokens, const RopeFactors& factors,
                              double base);

}  // namespace longrope::testing
