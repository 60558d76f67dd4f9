// Failures of CUDA and cuBLAS as exceptions.
#pragma once

#include <cublas_v2.h>
#include <cuda_runtime_api.h>

#include "kernels/device_error.h"

namespace longrope::cuda {

// Throw DeviceError unless the call succeeded.
void Check(cudaError_t status, const char* expression, const char* file, int line);
void Check(cublasStatus_t status, const char* expression, const char* file, int line);

}  // namespace longrope::cuda

#define LONGROPE_CUDA_CHECK(...) \
  ::longrope::cuda::Check((__VA_ARGS__), #__VA_ARGS__, __FILE__, __LINE__)
