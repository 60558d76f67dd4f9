// A pass of random tokens through a small random model, on any engine.
#pragma once

#include <cstdint>
#include <vector>

#include "eval/rope_factors.h"
#include "kernels/engine.h"
#include "tests/support/random_weights.h"

namespace longrope::testing {

struct PassResult {
  std::vector<double> nats;
  std::vector<uint8_t> likeliest;
};

// How far nats of such a pass in a type may be off double's. In 16 bits weights, states and
// projections are rounded a few times a layer, which averages out to about one rounding of the
// nats; in float32, sums of a hundred terms are rounded as often.
inline double PassBound(DType type, double nats) {
  const double size = 1 + (nats < 0 ? -nats : nats);
  if (type == DType::kF32) return 10 * 0x1p-24 * size;
  return 2 * (type == DType::kF16 ? 0x1p-11 : 0x1p-8) * size;
}

// The same ids each time.
std::vector<int32_t> RandomIds(int64_t count, int vocab);

struct EnginePass {
  ModelShape shape = {.layers = 2,
                      .hidden = 56,
                      .heads = 4,
                      .kv_heads = 2,
                      .head_dim = 64,
                      .ffn = 72,
                      .vocab = 101,
                      .norm_epsilon = 1e-5f,
                      .sliding_window = 0};
  int64_t tokens = 33;  // rows that are scored
  DType stored = DType::kF32;
  bool outliers = false;
  // lambda rises from 1 to 4; filled up for the head size.
  RopeFactors factors{{}, 0, 1.07};
  KvScope scope = KvScope::kAllLayers;
  int64_t chunk = 0;  // rows at a time; 0: all

  RopeTable Table(int64_t positions) const;
  // Nats by the plain transformer in double.
  std::vector<double> InDouble() const;
  PassResult On(const Engine& engine) const;
  PassResult On(const Engine& engine, const WeightSource& weights) const;

 private:
  std::vector<int32_t> Ids() const;  // one more than tokens: the last is only a target
  RopeFactors Filled() const;
  RandomWeights Weights() const;
};

}  // namespace longrope::testing
