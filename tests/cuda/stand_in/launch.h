// What a launch becomes.
#pragma once

#include <cuda_runtime_api.h>

#include <functional>

#include "tests/cuda/stand_in/block.h"

namespace longrope::stand_in {

// Queues the kernel behind the work of `stream`; `thread` runs one CUDA thread. `kernel` is what
// cudaFuncSetAttribute knows it by. Answers as cudaLaunchKernelEx.
cudaError_t EnqueueKernel(const void* kernel, const Grid& grid, cudaStream_t stream,
                          std::function<void()> thread);

}  // namespace longrope::stand_in
