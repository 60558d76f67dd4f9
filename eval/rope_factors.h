// How a rotation is rescaled: what the search looks for.
#pragma once

#include <cstdint>
#include <vector>

namespace longrope {

// Angle of pair i at position n: n * base^(-2i/d), divided by lambda[i] where n >= start_tokens
// (LongRoPE, arXiv 2402.13753, equation 3). cos and sin are multiplied by attention_factor at every
// position.
struct RopeFactors {
  std::vector<float> lambda;  // [head_dim / 2], pair 0 is the fastest; every runtime holds float32
  int64_t start_tokens = 0;   // n-hat: positions below it keep their plain rotation
  double attention_factor = 1;  // m

  bool operator==(const RopeFactors&) const = default;
};

// What a rotation depends on besides its factors.
struct RopeShape {
  int head_dim = 0;
  double base = 10000;          // theta
  int64_t original_length = 0;  // tokens the model was trained on, L

  bool operator==(const RopeShape&) const = default;
};

}  // namespace longrope
