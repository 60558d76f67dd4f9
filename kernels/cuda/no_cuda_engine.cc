// In the place of cuda_engine.cc where the program is built without a CUDA toolkit.
#include "kernels/cuda/cuda_engine.h"
#include "kernels/device_error.h"

namespace longrope {

CudaDevices FindCudaDevices() { return {{}, "this program was built without a CUDA toolkit"}; }

std::unique_ptr<Engine> MakeCudaEngine(const CudaOptions&) {
  throw DeviceError(DeviceError::Kind::kOther, FindCudaDevices().why_none);
}

}  // namespace longrope
