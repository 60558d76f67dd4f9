// Devices that are missing, lost, or used by two host threads at once.
#include <thread>

#include "kernels/cuda/device.h"
#include "tests/cuda/stand_in/fixture.h"

namespace longrope::cuda {
namespace {

using stand_in::DeviceArray;

__global__ void Increment(float* values) {
  const float value = __shfl_xor_sync(~0u, values[threadIdx.x], 0);
  __syncthreads();
  values[threadIdx.x] = value + 1;
}

class StandInDevice : public stand_in::StandInTest {};

TEST_F(StandInDevice, TellsWhatItIs) {
  stand_in::Reset({.device_bytes = {1 << 20, 2 << 20}});
  int count = 0, device = -1, value = 0;
  EXPECT_EQ(cudaGetDeviceCount(&count), cudaSuccess);
  EXPECT_EQ(count, 2);
  EXPECT_EQ(cudaSetDevice(2), cudaErrorInvalidDevice);
  EXPECT_EQ(cudaSetDevice(1), cudaSuccess);
  EXPECT_EQ(cudaGetDevice(&device), cudaSuccess);
  EXPECT_EQ(device, 1);
  cudaDeviceProp properties;
  EXPECT_EQ(cudaGetDeviceProperties(&properties, 1), cudaSuccess);
  EXPECT_STREQ(properties.name, "Stand-in");
  EXPECT_EQ(properties.totalGlobalMem, size_t{2 << 20});
  EXPECT_EQ(cudaDeviceGetAttribute(&value, cudaDevAttrMaxSharedMemoryPerBlockOptin, 1),
            cudaSuccess);
  EXPECT_EQ(value, 99 * 1024);
  EXPECT_EQ(cudaRuntimeGetVersion(&value), cudaSuccess);
  EXPECT_EQ(value, CUDART_VERSION);
  EXPECT_STREQ(cudaGetErrorName(cudaErrorIllegalAddress), "cudaErrorIllegalAddress");
  EXPECT_EQ(cudaPeekAtLastError(), cudaErrorInvalidDevice);
  EXPECT_EQ(cudaGetLastError(), cudaErrorInvalidDevice);
  EXPECT_EQ(cudaGetLastError(), cudaSuccess);
}

TEST_F(StandInDevice, WithoutDriverOrDeviceNothingWorks) {
  using stand_in::Driver;
  for (const auto& [driver, error] : {std::pair{Driver::kTooOld, cudaErrorInsufficientDriver},
                                      std::pair{Driver::kNoDevice, cudaErrorNoDevice}}) {
    stand_in::Reset({.driver = driver});
    int count = -1, version = -1;
    void* memory = nullptr;
    cublasHandle_t handle;
    EXPECT_EQ(cudaGetDeviceCount(&count), error);
    EXPECT_EQ(count, 0);
    EXPECT_EQ(cudaSetDevice(0), error);
    EXPECT_EQ(cudaMalloc(&memory, 4), error);
    EXPECT_EQ(cudaFree(memory), error);
    EXPECT_EQ(cudaDeviceSynchronize(), error);
    EXPECT_EQ(cublasCreate(&handle), CUBLAS_STATUS_NOT_INITIALIZED);
    EXPECT_NE(Launch(Increment, 1, 32, 0, nullptr, static_cast<float*>(nullptr)), cudaSuccess);
    EXPECT_EQ(cudaDriverGetVersion(&version), cudaSuccess);
  }
}

TEST_F(StandInDevice, OnceLostItAnswersNothingElse) {
  for (const cudaError_t error : {cudaErrorLaunchFailure, cudaErrorIllegalAddress}) {
    stand_in::Reset({.device_bytes = {1 << 20, 1 << 20}});
    cublasHandle_t handle;
    LONGROPE_CUDA_CHECK(cublasCreate(&handle));
    stand_in::LoseDevice(0, 1, error);
    {
      const DeviceArray<float> values(32);
      LONGROPE_CUDA_CHECK(Launch(Increment, 1, 32, 0, nullptr, values.data()));
      LONGROPE_CUDA_CHECK(Launch(Increment, 1, 32, 0, nullptr, values.data()));
      LONGROPE_CUDA_CHECK(Launch(Increment, 1, 32, 0, nullptr, values.data()));
      EXPECT_EQ(cudaDeviceSynchronize(), error);
      EXPECT_EQ(stand_in::Counts(0).launches, 1);
      EXPECT_EQ(stand_in::Counts(0).pending, 0);
      void* memory = nullptr;
      cudaStream_t stream;
      EXPECT_EQ(cudaMalloc(&memory, 4), error);
      EXPECT_EQ(cudaStreamCreateWithFlags(&stream, 0), error);
      EXPECT_EQ(cudaMemcpy(values.data(), &memory, 4, cudaMemcpyHostToDevice), error);
      EXPECT_EQ(cudaGetLastError(), error);
      EXPECT_EQ(cudaGetLastError(), error);  // is not forgotten
      try {
        LONGROPE_CUDA_CHECK(Launch(Increment, 1, 32, 0, nullptr, values.data()));
        ADD_FAILURE() << "launched on a lost device";
      } catch (const DeviceError& lost) {
        EXPECT_EQ(lost.kind(), DeviceError::Kind::kLost);
      }
      const float one = 1;
      EXPECT_EQ(cublasGemmEx(handle, CUBLAS_OP_N, CUBLAS_OP_N, 1, 1, 1, &one, values.data(),
                             CUDA_R_32F, 1, values.data(), CUDA_R_32F, 1, &one, values.data(),
                             CUDA_R_32F, 1, CUBLAS_COMPUTE_32F, CUBLAS_GEMM_DEFAULT),
                CUBLAS_STATUS_EXECUTION_FAILED);
      EXPECT_EQ(cublasCreate(&handle), CUBLAS_STATUS_NOT_INITIALIZED);
      EXPECT_EQ(cudaSetDevice(1), cudaSuccess);  // the other one is well
      EXPECT_EQ(cudaMalloc(&memory, 4), cudaSuccess);
      EXPECT_EQ(cudaFree(memory), cudaSuccess);
    }
    EXPECT_EQ(stand_in::DeviceMemory(0).current, 0u);
    EXPECT_EQ(cublasDestroy(handle), CUBLAS_STATUS_SUCCESS);
  }
}

TEST_F(StandInDevice, StreamsBelongToOneDevice) {
  stand_in::Reset({.device_bytes = {1 << 20, 1 << 20}});
  cudaStream_t stream;
  LONGROPE_CUDA_CHECK(cudaStreamCreateWithFlags(&stream, cudaStreamNonBlocking));
  cudaSetDevice(1);
  EXPECT_NE(Launch(Increment, 1, 32, 0, stream, static_cast<float*>(nullptr)), cudaSuccess);
  cudaEvent_t event;
  LONGROPE_CUDA_CHECK(cudaEventCreateWithFlags(&event, cudaEventDisableTiming));
  EXPECT_EQ(cudaEventRecord(event, stream), cudaErrorInvalidResourceHandle);
  EXPECT_EQ(cudaEventRecord(event, nullptr), cudaSuccess);
  EXPECT_EQ(cudaStreamWaitEvent(stream, event, 0), cudaSuccess);
  cudaEventDestroy(event);
  cudaStreamDestroy(stream);
}

// What one host thread does with its device: many kernels, copies and allocations.
void Drive(int device, int rounds, float* result) {
  LONGROPE_CUDA_CHECK(cudaSetDevice(device));
  cudaStream_t stream;
  LONGROPE_CUDA_CHECK(cudaStreamCreateWithFlags(&stream, cudaStreamNonBlocking));
  const DeviceArray<float> values(std::vector<float>(64));
  for (int i = 0; i < rounds; ++i) {
    LONGROPE_CUDA_CHECK(Launch(Increment, 1, 64, 0, stream, values.data()));
    const DeviceArray<float> scratch(8);
  }
  LONGROPE_CUDA_CHECK(cudaStreamSynchronize(stream));
  *result = values.Get()[63];
  LONGROPE_CUDA_CHECK(cudaStreamDestroy(stream));
}

TEST_F(StandInDevice, TwoHostThreadsDriveTwoDevices) {
  stand_in::Reset(
      {.device_bytes = {1 << 20, 1 << 20}, .thread_order = stand_in::ThreadOrder::kRandom});
  float results[2] = {};
  std::thread first(Drive, 0, 50, &results[0]), second(Drive, 1, 60, &results[1]);
  first.join();
  second.join();
  EXPECT_EQ(results[0], 50.0f);
  EXPECT_EQ(results[1], 60.0f);
  EXPECT_EQ(stand_in::Counts(0).launches, 50);
  EXPECT_EQ(stand_in::Counts(1).launches, 60);
}

TEST_F(StandInDevice, TwoHostThreadsShareADevice) {
  float results[2] = {};
  std::thread first(Drive, 0, 20, &results[0]), second(Drive, 0, 30, &results[1]);
  first.join();
  second.join();
  EXPECT_EQ(results[0], 20.0f);
  EXPECT_EQ(results[1], 30.0f);
}

}  // namespace
}  // namespace longrope::cuda
