// Sums and maxima over warps and blocks. The order is fixed: the same bits every time.
#pragma once

#include "kernels/cuda/device.h"

namespace longrope::cuda {

inline constexpr unsigned kAllLanes = 0xffffffffu;

struct Sum {
  static constexpr float kNeutral = 0;
  static __device__ float Of(float a, float b) { return a + b; }
};

struct Max {
  static constexpr float kNeutral = -INFINITY;
  static __device__ float Of(float a, float b) { return fmaxf(a, b); }
};

// Of the 32 lanes; each gets the result.
template <class Op>
__device__ inline float WarpReduce(float value) {
#pragma unroll
  for (int offset = 16; offset > 0; offset /= 2) {
    value = Op::Of(value, __shfl_xor_sync(kAllLanes, value, offset));
  }
  return value;
}

// Of the block, whole warps; every thread gets the result. `scratch`: 32 floats of shared memory.
template <class Op>
__device__ inline float BlockReduce(float value, float* scratch) {
  const int lane = static_cast<int>(threadIdx.x) % 32, warp = static_cast<int>(threadIdx.x) / 32;
  value = WarpReduce<Op>(value);
  if (lane == 0) scratch[warp] = value;
  __syncthreads();
  value = lane < static_cast<int>(blockDim.x) / 32 ? scratch[lane] : Op::kNeutral;
  value = WarpReduce<Op>(value);
  __syncthreads();  // the next reduction writes to scratch
  return value;
}

}  // namespace longrope::cuda
