// The arithmetic of mma.sync, and what ldmatrix needs of the other lanes.
#pragma once

#include <cstdint>

#include "tests/cuda/stand_in/block.h"

namespace longrope::stand_in {

// What a lane brings to mma.m16n8k16, by the fragment layout of kernels/cuda/device.h.
struct MmaOperands {
  uint32_t a[4], b[2];
  float d[4];
};
// Combine functions: d += A B of the whole warp.
void MultiplyHalf(void* const operands[kWarp]);
void MultiplyBfloat16(void* const operands[kWarp]);

// What a lane brings to ldmatrix, and what it gets: the row addresses of all lanes.
struct MatrixRows {
  const void* mine;
  const void* all[kWarp];
};
// Combine function: fills `all` and counts bank conflicts.
void ShareRows(void* const operands[kWarp]);

}  // namespace longrope::stand_in
