// How much shared memory a kernel may have, for launches.
#pragma once

#include <cuda_runtime_api.h>

#include <cstddef>

namespace longrope::cuda {

// What a block may have on every device from sm_80 on, the least of which are sm_86, 89 and 120.
inline constexpr int kMaxSharedBytes = 99 * 1024;

// Has CUDA give the kernel so many bytes of dynamic shared memory: more than it gives unasked.
inline cudaError_t AllowSharedBytes(const void* kernel, size_t bytes) {
  if (bytes <= 48 * 1024) return cudaSuccess;
  return cudaFuncSetAttribute(kernel, cudaFuncAttributeMaxDynamicSharedMemorySize,
                              static_cast<int>(bytes));
}

}  // namespace longrope::cuda
