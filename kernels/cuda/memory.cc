#include "kernels/cuda/memory.h"

namespace longrope::cuda {

void UseDevice(int device) { LONGROPE_CUDA_CHECK(cudaSetDevice(device)); }

int DeviceInUse() {
  int device = 0;
  LONGROPE_CUDA_CHECK(cudaGetDevice(&device));
  return device;
}

}  // namespace longrope::cuda
