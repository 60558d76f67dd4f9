// Rotations of every position, computed by the caller and read alike by every engine.
#pragma once

#include <cstdint>
#include <vector>

namespace longrope {

// cos and sin of pair i at position n stand at [n * pairs + i], attention factor multiplied in.
// Pair i joins elements i and i + pairs of a head (half-split, as in Hugging Face weights).
struct RopeTable {
  int64_t positions = 0;
  int pairs = 0;  // head_dim / 2
  std::vector<float> cos, sin;
};

}  // namespace longrope
