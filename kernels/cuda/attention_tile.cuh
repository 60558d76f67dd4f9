// Shapes and shared-memory tiles of the tensor-core attention.
#pragma once

#include "kernels/cuda/device.h"
#include "kernels/cuda/ops.h"

namespace longrope::cuda {

// A block of 4 warps computes kRows query rows of one head; a warp owns kWarpRows of them, in
// kSteps fragments of 16, and walks the keys in tiles of kKeys.
template <int kDim>
struct FlashShape {
  static_assert(kDim % 16 == 0 && kDim <= 128);
  static constexpr int kThreads = 128;
  static constexpr int kSteps = 2;
  static constexpr int kWarpRows = 16 * kSteps;
  static constexpr int kRows = kThreads / 32 * kWarpRows;
  static_assert(kRows == kMinBlockRows);
  static constexpr int kKeys =
      kDim == 64 ? 64 : 32;                 // so that two blocks fit into the 164 KiB of sm_80
  static constexpr int kChunks = kDim / 8;  // 16 bytes each, of a row
  // A row takes 16 bytes more than it holds. The rows that one phase of ldmatrix reads, 8 after
  // each other, then begin in 8 different groups of 4 banks for every kDim here (tests count
  // conflicts).
  static constexpr int kStride = kDim + 8;
  static constexpr int kTile = kKeys * kStride;  // elements of a tile of keys or values
  static constexpr int kSharedBytes = (kRows * kStride + 4 * kTile) * 2;
  static_assert(kSharedBytes <= kMaxSharedBytes);
};

// Starts the copies of rows first ... first + kCount - 1 of `source`, `stride` elements apart, to a
// tile; a row at or past `limit`, which `first` is not, becomes zero. All threads of the block.
template <class T, int kDim, int kCount>
__device__ inline void StartTile(T* tile, const T* source, int stride, int first, int limit) {
  using Shape = FlashShape<kDim>;
  const T* begin = source + static_cast<int64_t>(first) * stride;  // the same for all threads
#pragma unroll
  for (int i = 0; i < kCount * Shape::kChunks; i += Shape::kThreads) {
    const int chunk = i + static_cast<int>(threadIdx.x);
    if (kCount * Shape::kChunks % Shape::kThreads != 0 && chunk >= kCount * Shape::kChunks) break;
    const int row = chunk / Shape::kChunks, column = chunk % Shape::kChunks * 8;
    const bool live = first + row < limit;
    CopyAsync16(tile + row * Shape::kStride + column, begin + (live ? row * stride : 0) + column,
                live ? 16 : 0);
  }
}

// Of the 4 lanes that hold one row of a fragment.
template <class Op>
__device__ inline float QuadReduce(float value) {
  value = Op::Of(value, __shfl_xor_sync(0xffffffffu, value, 1));
  return Op::Of(value, __shfl_xor_sync(0xffffffffu, value, 2));
}

}  // namespace longrope::cuda
