#include "kernels/cuda/check.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "kernels/cuda/ops.h"
#include "tests/cuda/device_data.h"
#include "tests/cuda/stand_in/fixture.h"

namespace longrope {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;
using Kind = DeviceError::Kind;

class CudaCheck : public stand_in::StandInTest {};

// What CUDA documents to leave the process without its device goes to another, nothing else does.
TEST_F(CudaCheck, TellsALostDeviceFromWantOfMemoryAndMistakes) {
  const auto kind_of = [](cudaError_t status) {
    try {
      LONGROPE_CUDA_CHECK(status);
    } catch (const DeviceError& error) {
      return error.kind();
    }
    return Kind::kOther;
  };
  EXPECT_NO_THROW(LONGROPE_CUDA_CHECK(cudaSuccess));
  EXPECT_EQ(kind_of(cudaErrorMemoryAllocation), Kind::kOutOfMemory);
  for (const cudaError_t status :
       {cudaErrorInvalidValue, cudaErrorInvalidConfiguration, cudaErrorNoKernelImageForDevice,
        cudaErrorInsufficientDriver, cudaErrorNotSupported}) {
    EXPECT_EQ(kind_of(status), Kind::kOther) << cudaGetErrorName(status);
  }
  for (const cudaError_t status :
       {cudaErrorDevicesUnavailable, cudaErrorECCUncorrectable, cudaErrorHardwareStackError,
        cudaErrorLaunchFailure, cudaErrorLaunchTimeout, cudaErrorMisalignedAddress,
        cudaErrorIllegalAddress, cudaErrorNvlinkUncorrectable, cudaErrorUnknown,
        cudaErrorIllegalInstruction, cudaErrorInvalidAddressSpace, cudaErrorInvalidPc,
        cudaErrorAssert, cudaErrorContextIsDestroyed, cudaErrorContained, cudaErrorTensorMemoryLeak,
        cudaErrorMpsRpcFailure, cudaErrorMpsClientTerminated, cudaErrorExternalDevice}) {
    EXPECT_EQ(kind_of(status), Kind::kLost) << cudaGetErrorName(status);
  }
}

TEST_F(CudaCheck, SaysWhichCallFailedAndWhere) {
  std::string said;
  try {
    cuda::DeviceArray<float> array(int64_t{1} << 40);
  } catch (const DeviceError& error) {
    said = error.what();
  }
  EXPECT_THAT(said, AllOf(HasSubstr("memory.h:"), HasSubstr("cudaMalloc of 4398046511104 bytes"),
                          HasSubstr("cudaErrorMemoryAllocation")));
  const cuda::Stream stream;
  const cuda::DeviceArray<float> one(1);
  try {  // a grid of no blocks
    cuda::SwiGlu(one.get(), one.get(), 0, stream.get());
  } catch (const DeviceError& error) {
    said = error.what();
  }
  EXPECT_THAT(said, AllOf(HasSubstr("swiglu.cu:"), HasSubstr("Launch(SwiGluKernel<T>"),
                          HasSubstr("cudaErrorInvalidConfiguration")));
}

// Arrays, streams and events are given back to their device while a lost one is in use.
TEST_F(CudaCheck, OwnersGiveBackToTheirDevice) {
  stand_in::Options options;
  options.device_bytes = {1 << 20, 1 << 20};
  stand_in::Reset(options);
  {
    cuda::UseDevice(0);
    const cuda::DeviceArray<float> array(100);
    const cuda::PinnedArray<float> pinned(100);
    const cuda::Stream stream;
    const cuda::Event event;
    cuda::UseDevice(1);
    const cuda::DeviceArray<float> values(32);
    const cuda::Stream other;
    stand_in::LoseDevice(1, 0);
    cuda::SwiGlu(values.get(), values.get(), 32, other.get());
    EXPECT_THROW(other.Wait(), DeviceError);
  }
  EXPECT_EQ(stand_in::DeviceMemory(0).current, 0u);
  EXPECT_EQ(stand_in::PinnedMemory().current, 0u);
  EXPECT_EQ(stand_in::Handles(), 0);
}

}  // namespace
}  // namespace longrope
