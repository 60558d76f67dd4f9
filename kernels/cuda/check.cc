#include "kernels/cuda/check.h"

namespace longrope::cuda {
namespace {

DeviceError::Kind KindOf(cudaError_t status) {
  switch (status) {
    case cudaErrorMemoryAllocation:
      return DeviceError::Kind::kOutOfMemory;
    case cudaErrorDevicesUnavailable:
    case cudaErrorECCUncorrectable:
    case cudaErrorHardwareStackError:
    case cudaErrorLaunchFailure:
    case cudaErrorLaunchTimeout:
    case cudaErrorMisalignedAddress:
    case cudaErrorIllegalAddress:
    case cudaErrorNvlinkUncorrectable:
    case cudaErrorUnknown:
    case cudaErrorIllegalInstruction:
    case cudaErrorInvalidAddressSpace:
    case cudaErrorInvalidPc:
    case cudaErrorAssert:
    case cudaErrorContextIsDestroyed:
    case cudaErrorContained:
    case cudaErrorTensorMemoryLeak:
    case cudaErrorMpsRpcFailure:
    case cudaErrorMpsClientTerminated:
    case cudaErrorExternalDevice:
      return DeviceError::Kind::kLost;  // the context is unusable from here on
    default:
      return DeviceError::Kind::kOther;
  }
}

[[noreturn]] void Throw(DeviceError::Kind kind, const std::string& reason, const char* expression,
                        const char* file, int line) {
  throw DeviceError(
      kind, std::string(file) + ":" + std::to_string(line) + ": " + expression + ": " + reason);
}

}  // namespace

void Check(cudaError_t status, const char* expression, const char* file, int line) {
  if (status == cudaSuccess) return;
  cudaGetLastError();  // so that the next call does not report this one again
  Throw(KindOf(status),
        std::string(cudaGetErrorName(status)) + " (" + cudaGetErrorString(status) + ")", expression,
        file, line);
}

void Check(cublasStatus_t status, const char* expression, const char* file, int line) {
  if (status == CUBLAS_STATUS_SUCCESS) return;
  // cuBLAS does not tell a lost device from a call that went wrong, the runtime does. A handle that
  // cannot be made on a sound device is for want of memory.
  const cudaError_t device = cudaStreamSynchronize(nullptr);
  const bool memory =
      status == CUBLAS_STATUS_ALLOC_FAILED || status == CUBLAS_STATUS_NOT_INITIALIZED;
  const auto kind = device != cudaSuccess ? KindOf(device)
                    : memory              ? DeviceError::Kind::kOutOfMemory
                                          : DeviceError::Kind::kOther;
  Throw(kind, cublasGetStatusName(status), expression, file, line);
}

}  // namespace longrope::cuda
