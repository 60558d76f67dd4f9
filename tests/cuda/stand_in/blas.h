// The made-up machine's cuBLAS handles.
#pragma once

#include <cublas_v2.h>

#include <mutex>

#include "tests/cuda/stand_in/stream.h"

namespace longrope::stand_in {

struct BlasHandle {
  Device* device = nullptr;
  std::mutex mutex;
  cudaStream_t stream = nullptr;
  cublasMath_t math_mode = CUBLAS_DEFAULT_MATH;
  const void* workspace = nullptr;  // null: the library's own
  size_t workspace_bytes = 0;
};

}  // namespace longrope::stand_in
