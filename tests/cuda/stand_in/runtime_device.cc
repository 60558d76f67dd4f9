// The runtime's functions on devices: what they are and what errors are called.
#include <cuda_runtime_api.h>

#include <cstdio>

#include "tests/cuda/stand_in/machine.h"

using namespace longrope::stand_in;

namespace {

constexpr int kMajor = 9, kMinor = 0, kProcessors = 4;

bool HasDevice(int device) {
  return device >= 0 && static_cast<size_t>(device) < TheMachine().devices.size();
}

struct ErrorText {
  cudaError_t error;
  const char *name, *text;
};
#define LONGROPE_ERROR(name, text) \
  { name, #name, text }
constexpr ErrorText kErrors[] = {
    LONGROPE_ERROR(cudaSuccess, "no error"),
    LONGROPE_ERROR(cudaErrorInvalidValue, "invalid argument"),
    LONGROPE_ERROR(cudaErrorMemoryAllocation, "out of memory"),
    LONGROPE_ERROR(cudaErrorInitializationError, "initialization error"),
    LONGROPE_ERROR(cudaErrorInvalidConfiguration, "invalid configuration argument"),
    LONGROPE_ERROR(cudaErrorInvalidPitchValue, "invalid pitch argument"),
    LONGROPE_ERROR(cudaErrorInvalidMemcpyDirection, "invalid copy direction for memcpy"),
    LONGROPE_ERROR(cudaErrorInsufficientDriver,
                   "CUDA driver version is insufficient for CUDA runtime version"),
    LONGROPE_ERROR(cudaErrorNoDevice, "no CUDA-capable device is detected"),
    LONGROPE_ERROR(cudaErrorInvalidDevice, "invalid device ordinal"),
    LONGROPE_ERROR(cudaErrorInvalidResourceHandle, "invalid resource handle"),
    LONGROPE_ERROR(cudaErrorDevicesUnavailable,
                   "CUDA-capable device(s) is/are busy or unavailable"),
    LONGROPE_ERROR(cudaErrorECCUncorrectable, "uncorrectable ECC error encountered"),
    LONGROPE_ERROR(cudaErrorNotReady, "device not ready"),
    LONGROPE_ERROR(cudaErrorIllegalAddress, "an illegal memory access was encountered"),
    LONGROPE_ERROR(cudaErrorMisalignedAddress, "misaligned address"),
    LONGROPE_ERROR(cudaErrorLaunchOutOfResources, "too many resources requested for launch"),
    LONGROPE_ERROR(cudaErrorLaunchFailure, "unspecified launch failure"),
};
#undef LONGROPE_ERROR

}  // namespace

extern "C" {

cudaError_t cudaGetDeviceProperties(cudaDeviceProp* properties, int device) {
  const cudaError_t error = DriverError();
  if (error != cudaSuccess) return SetLastError(error);
  if (!HasDevice(device)) return SetLastError(cudaErrorInvalidDevice);
  *properties = {};
  std::snprintf(properties->name, sizeof properties->name, "Stand-in");
  properties->uuid.bytes[0] = 'S';
  properties->uuid.bytes[15] = static_cast<char>(device);
  properties->totalGlobalMem = TheMachine().memory.Total(device);
  properties->sharedMemPerBlock = kSharedBytesByDefault;
  properties->sharedMemPerBlockOptin = kSharedBytesPerBlock;
  properties->warpSize = kWarp;
  properties->maxThreadsPerBlock = kThreadsPerBlock;
  properties->major = kMajor;
  properties->minor = kMinor;
  properties->multiProcessorCount = kProcessors;
  properties->unifiedAddressing = 1;
  properties->pciBusID = device;
  return cudaSuccess;
}

cudaError_t cudaDeviceGetAttribute(int* value, cudaDeviceAttr attribute, int device) {
  const cudaError_t error = DriverError();
  if (error != cudaSuccess) return SetLastError(error);
  if (!HasDevice(device)) return SetLastError(cudaErrorInvalidDevice);
  switch (attribute) {
    case cudaDevAttrComputeCapabilityMajor:
      *value = kMajor;
      break;
    case cudaDevAttrComputeCapabilityMinor:
      *value = kMinor;
      break;
    case cudaDevAttrMultiProcessorCount:
      *value = kProcessors;
      break;
    case cudaDevAttrWarpSize:
      *value = kWarp;
      break;
    case cudaDevAttrMaxThreadsPerBlock:
      *value = kThreadsPerBlock;
      break;
    case cudaDevAttrMaxSharedMemoryPerBlock:
      *value = kSharedBytesByDefault;
      break;
    case cudaDevAttrMaxSharedMemoryPerBlockOptin:
      *value = kSharedBytesPerBlock;
      break;
    case cudaDevAttrClockRate:
      *value = 1'000'000;  // kHz
      break;
    case cudaDevAttrUnifiedAddressing:
      *value = 1;
      break;
    default:
      return SetLastError(cudaErrorInvalidValue);
  }
  return cudaSuccess;
}

// Both answer without a device, too.
cudaError_t cudaRuntimeGetVersion(int* version) {
  *version = CUDART_VERSION;
  return cudaSuccess;
}

cudaError_t cudaDriverGetVersion(int* version) {
  const Driver driver = TheMachine().options.driver;
  *version = driver == Driver::kMissing ? 0 : driver == Driver::kTooOld ? 12040 : CUDART_VERSION;
  return cudaSuccess;
}

const char* cudaGetErrorName(cudaError_t error) {
  for (const ErrorText& each : kErrors) {
    if (each.error == error) return each.name;
  }
  return "an error of another number";
}

const char* cudaGetErrorString(cudaError_t error) {
  for (const ErrorText& each : kErrors) {
    if (each.error == error) return each.text;
  }
  return "unrecognized error code";
}

}  // extern "C"
