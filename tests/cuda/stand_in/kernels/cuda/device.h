// The twin of the product's kernels/cuda/device.h for the CPU: the same functions, documented
// there.
//
// It stands before the product's in the include path of tests. What touches memory is in this
// header, not behind it, so that the sanitizers see the accesses as those of the CUDA thread that
// makes them by the PTX manual.
#pragma once

#include <cuda_bf16.h>
#include <cuda_fp16.h>
#include <cuda_runtime.h>

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <type_traits>

#include "kernels/cuda/check.h"
#include "kernels/cuda/shared_memory.h"
#include "tests/cuda/stand_in/block.h"
#include "tests/cuda/stand_in/launch.h"
#include "tests/cuda/stand_in/tensor_core.h"

#undef __global__
#undef __device__
#undef __launch_bounds__
#undef __shared__
#define __global__
#define __device__
#define __launch_bounds__(...)
#define __shared__ kernels_use_SharedMemory_only

using std::max;
using std::min;

inline void __syncthreads() { longrope::stand_in::BlockBarrier(); }

inline void __syncwarp(unsigned mask = ~0u) {
  longrope::stand_in::WarpExchange(mask, nullptr, nullptr, 0, longrope::stand_in::Lane(), true);
}

template <class T>
T __shfl_sync(unsigned mask, T value, int lane, int width = 32) {
  static_assert(sizeof(T) == 2 || sizeof(T) == 4 || sizeof(T) == 8);
  T result;
  const int from = (longrope::stand_in::Lane() & ~(width - 1)) | (lane & (width - 1));
  longrope::stand_in::WarpExchange(mask, &value, &result, sizeof value, from, false);
  return result;
}

template <class T>
T __shfl_xor_sync(unsigned mask, T value, int lane_mask, int width = 32) {
  static_assert(sizeof(T) == 2 || sizeof(T) == 4 || sizeof(T) == 8);
  T result;
  const int lane = longrope::stand_in::Lane(), other = lane ^ lane_mask;
  const int from = other >= (lane & ~(width - 1)) + width ? lane : other;
  longrope::stand_in::WarpExchange(mask, &value, &result, sizeof value, from, false);
  return result;
}

namespace longrope::stand_in {

typedef uint16_t __attribute__((may_alias)) HalfWord;
typedef uint64_t __attribute__((may_alias)) DoubleWord;

inline void CheckSharedLine(const void* line, const char* why) {
  const auto offset = static_cast<const unsigned char*>(line) - SharedBytes();
  if (offset < 0 || static_cast<size_t>(offset) + 16 > SharedByteCount() || offset % 16 != 0) {
    Fail(why);
  }
}

inline MatrixRows GatherRows(const void* row) {
  CheckSharedLine(row, "a row of ldmatrix is outside of shared memory or not on 16 bytes");
  MatrixRows rows;
  rows.mine = row;
  WarpCollective(&ShareRows, &rows);
  return rows;
}

inline uint32_t Element(const void* row, int i) { return static_cast<const HalfWord*>(row)[i]; }

}  // namespace longrope::stand_in

namespace longrope::cuda {

template <class T>
T* SharedMemory() {
  return reinterpret_cast<T*>(stand_in::SharedBytes());
}

template <class... Parameters, class... Arguments>
[[nodiscard]] cudaError_t Launch(void (*kernel)(Parameters...), dim3 grid, dim3 block,
                                 size_t shared_bytes, cudaStream_t stream, Arguments... arguments) {
  const cudaError_t refused = AllowSharedBytes(reinterpret_cast<const void*>(kernel), shared_bytes);
  if (refused != cudaSuccess) return refused;
  return stand_in::EnqueueKernel(
      reinterpret_cast<const void*>(kernel), {grid, block, shared_bytes}, stream,
      [kernel, ... values = static_cast<Parameters>(arguments)] { kernel(values...); });
}

template <class T>
void Mma(float (&d)[4], const uint32_t (&a)[4], uint32_t b0, uint32_t b1) {
  static_assert(std::is_same_v<T, __half> || std::is_same_v<T, __nv_bfloat16>);
  stand_in::MmaOperands operands{{a[0], a[1], a[2], a[3]}, {b0, b1}, {d[0], d[1], d[2], d[3]}};
  stand_in::WarpCollective(
      std::is_same_v<T, __half> ? &stand_in::MultiplyHalf : &stand_in::MultiplyBfloat16, &operands);
  for (int i = 0; i < 4; ++i) d[i] = operands.d[i];
}

inline void LoadMatrix4(uint32_t (&r)[4], const void* row) {
  const stand_in::MatrixRows rows = stand_in::GatherRows(row);
  const int g = stand_in::Lane() / 4, t = stand_in::Lane() % 4;
  for (int i = 0; i < 4; ++i) {
    const void* line = rows.all[8 * i + g];
    r[i] = stand_in::Element(line, 2 * t) | stand_in::Element(line, 2 * t + 1) << 16;
  }
}

inline void LoadMatrix4Trans(uint32_t (&r)[4], const void* row) {
  const stand_in::MatrixRows rows = stand_in::GatherRows(row);
  const int g = stand_in::Lane() / 4, t = stand_in::Lane() % 4;
  for (int i = 0; i < 4; ++i) {
    const int first = 8 * i + 2 * t;
    r[i] = stand_in::Element(rows.all[first], g) | stand_in::Element(rows.all[first + 1], g) << 16;
  }
}

// The target is poisoned at once and filled as late as the manual allows: when its group is waited
// for. Both are writes of this thread, so that a target that is still read, or read too early, is a
// race and a wrong value.
inline void CopyAsync16(void* target, const void* source, int bytes) {
  stand_in::CheckSharedLine(target,
                            "a target of cp.async is outside of shared memory or not on 16 bytes");
  if (reinterpret_cast<uintptr_t>(source) % 16 != 0) {
    stand_in::Fail("a source of cp.async is not on 16 bytes");
  }
  if (bytes < 0 || bytes > 16) stand_in::Fail("cp.async of a number of bytes not in 0 to 16");
  auto* to = static_cast<stand_in::DoubleWord*>(target);
  to[0] = to[1] = ~uint64_t{0};
  stand_in::StartCopy({target, source, bytes});
}

inline void CopyCommit() { stand_in::CommitCopies(); }

template <int kPending>
void CopyWait() {
  for (stand_in::Copy copy; stand_in::TakeCopy(kPending, &copy);) {
    auto* to = static_cast<stand_in::DoubleWord*>(copy.target);
    if (copy.bytes == 16) {
      auto* from = static_cast<const stand_in::DoubleWord*>(copy.source);
      to[0] = from[0];
      to[1] = from[1];
      continue;
    }
    to[0] = to[1] = 0;
    for (int i = 0; i < copy.bytes; ++i) {
      static_cast<unsigned char*>(copy.target)[i] =
          static_cast<const unsigned char*>(copy.source)[i];
    }
  }
}

inline float Exp2(float x) {
  const float y = std::exp2(x);
  return y < std::numeric_limits<float>::min() ? 0.0f : y;  // .ftz
}

inline float InverseSquareRoot(float x) { return 1.0f / std::sqrt(x); }

}  // namespace longrope::cuda
