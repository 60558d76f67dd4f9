// Memory is exact, guarded and counted; copies keep to what is allocated.
#include "kernels/cuda/device.h"
#include "tests/cuda/stand_in/fixture.h"

namespace longrope::cuda {
namespace {

using stand_in::DeviceArray;
using stand_in::kAddressSanitizer;

__global__ void WriteAt(unsigned char* bytes, ptrdiff_t i) { bytes[i] = 0; }

class StandInMemory : public stand_in::StandInTest {
 protected:
  void* Allocate(size_t bytes, cudaError_t expected = cudaSuccess) {
    void* memory = nullptr;
    EXPECT_EQ(cudaMalloc(&memory, bytes), expected);
    return memory;
  }
};

TEST_F(StandInMemory, GuardsNoticeOverruns) {
  for (const ptrdiff_t at : {-1, 37}) {
    auto* bytes = static_cast<unsigned char*>(Allocate(37));
    EXPECT_EQ(reinterpret_cast<uintptr_t>(bytes) % 256, 0u);
    LONGROPE_CUDA_CHECK(Launch(WriteAt, 1, 1, 0, nullptr, bytes, ptrdiff_t{36}));
    cudaDeviceSynchronize();
    EXPECT_TRUE(stand_in::Overruns().empty());
    LONGROPE_CUDA_CHECK(Launch(WriteAt, 1, 1, 0, nullptr, bytes, at));
    if (kAddressSanitizer) {
      EXPECT_DEATH(cudaDeviceSynchronize(), "AddressSanitizer");
      stand_in::Reset();
      continue;
    }
    cudaDeviceSynchronize();
    ASSERT_EQ(stand_in::Overruns().size(), 1u);
    const std::string text = at < 0 ? "1 bytes before and 0 bytes after an allocation of 37 bytes"
                                    : "0 bytes before and 1 bytes after an allocation of 37 bytes";
    EXPECT_NE(stand_in::Overruns()[0].find(text), std::string::npos) << stand_in::Overruns()[0];
    cudaFree(bytes);
    EXPECT_EQ(stand_in::Overruns().size(), 1u);  // is remembered
    stand_in::Reset();
  }
}

TEST_F(StandInMemory, IsPoisoned) {
  const DeviceArray<float> array(8);
  for (const float value : array.Get()) EXPECT_NE(value, value);
  void* pinned = nullptr;
  cudaMallocHost(&pinned, 4);
  EXPECT_EQ(*static_cast<int*>(pinned), -1);
  cudaFreeHost(pinned);
}

__global__ void ReadAt(float* out, const float* in) { *out = *in; }

TEST_F(StandInMemory, OnlyItsDeviceMayTouchIt) {
  if (!kAddressSanitizer) GTEST_SKIP() << "seen by the address sanitizer only";
  stand_in::Reset({.device_bytes = {1024, 1024}});
  const DeviceArray<float> array(std::vector<float>{1.0f});
  EXPECT_DEATH(EXPECT_EQ(*array.data(), 1.0f), "AddressSanitizer");  // the host
  cudaSetDevice(1);
  const DeviceArray<float> other(1);
  LONGROPE_CUDA_CHECK(Launch(ReadAt, 1, 1, 0, nullptr, other.data(), array.data()));
  EXPECT_DEATH(cudaDeviceSynchronize(), "AddressSanitizer");
  stand_in::Reset();
}

TEST_F(StandInMemory, IsCountedAndLimited) {
  stand_in::Reset({.device_bytes = {1000, 500}, .pinned_bytes = 100});
  void* a = Allocate(600);
  void* b = Allocate(400);
  Allocate(1, cudaErrorMemoryAllocation);
  EXPECT_EQ(cudaGetLastError(), cudaErrorMemoryAllocation);
  EXPECT_EQ(cudaGetLastError(), cudaSuccess);
  size_t free_bytes = 1, total = 1;
  cudaMemGetInfo(&free_bytes, &total);
  EXPECT_EQ(free_bytes, 0u);
  EXPECT_EQ(total, 1000u);
  cudaSetDevice(1);
  Allocate(501, cudaErrorMemoryAllocation);
  cudaMemGetInfo(&free_bytes, &total);
  EXPECT_EQ(free_bytes, 500u);
  EXPECT_EQ(cudaFree(a), cudaSuccess);  // the other device's, from here
  EXPECT_EQ(stand_in::DeviceMemory(0).current, 400u);
  EXPECT_EQ(stand_in::DeviceMemory(0).peak, 1000u);
  stand_in::ResetPeaks();
  EXPECT_EQ(stand_in::DeviceMemory(0).peak, 400u);
  EXPECT_EQ(cudaFree(b), cudaSuccess);
  void* pinned = nullptr;
  EXPECT_EQ(cudaHostAlloc(&pinned, 101, cudaHostAllocDefault), cudaErrorMemoryAllocation);
  EXPECT_EQ(cudaHostAlloc(&pinned, 100, cudaHostAllocDefault), cudaSuccess);
  EXPECT_EQ(stand_in::PinnedMemory().current, 100u);
  EXPECT_EQ(cudaFreeHost(pinned), cudaSuccess);
  EXPECT_EQ(stand_in::Allocations(), 6);
}

TEST_F(StandInMemory, TheNthAllocationFails) {
  void* memory[3] = {};
  stand_in::FailAllocation(2);
  memory[0] = Allocate(8);
  Allocate(8, cudaErrorMemoryAllocation);
  memory[1] = Allocate(8);
  stand_in::FailAllocation(1);
  EXPECT_EQ(cudaMallocHost(&memory[2], 8), cudaErrorMemoryAllocation);
  for (void* each : memory) EXPECT_EQ(cudaFree(each), cudaSuccess);
}

TEST_F(StandInMemory, FreesOnlyWhatItGave) {
  void* memory = Allocate(64);
  void* pinned = nullptr;
  cudaMallocHost(&pinned, 64);
  EXPECT_EQ(cudaFree(static_cast<char*>(memory) + 16), cudaErrorInvalidValue);
  EXPECT_EQ(cudaFree(pinned), cudaErrorInvalidValue);
  EXPECT_EQ(cudaFreeHost(memory), cudaErrorInvalidValue);
  EXPECT_EQ(cudaFree(memory), cudaSuccess);
  EXPECT_EQ(cudaFree(memory), cudaErrorInvalidValue);
  EXPECT_EQ(cudaFreeHost(pinned), cudaSuccess);
  EXPECT_EQ(cudaFree(nullptr), cudaSuccess);
  EXPECT_EQ(cudaFreeHost(nullptr), cudaSuccess);
}

TEST_F(StandInMemory, CopiesKeepToAllocations) {
  stand_in::Reset({.device_bytes = {1024, 1024}});
  auto* device = static_cast<char*>(Allocate(64));
  std::vector<char> host(128);
  char* pinned = nullptr;
  cudaMallocHost(reinterpret_cast<void**>(&pinned), 64);
  EXPECT_EQ(cudaMemcpy(device, host.data(), 65, cudaMemcpyHostToDevice), cudaErrorInvalidValue);
  EXPECT_EQ(cudaMemcpy(device + 32, host.data(), 33, cudaMemcpyDefault), cudaErrorInvalidValue);
  EXPECT_EQ(cudaMemcpy(host.data(), device - 1, 8, cudaMemcpyDeviceToHost), cudaErrorInvalidValue);
  EXPECT_EQ(cudaMemcpy(pinned, device, 65, cudaMemcpyDeviceToHost), cudaErrorInvalidValue);
  EXPECT_EQ(cudaMemcpy(device, pinned, 64, cudaMemcpyDeviceToHost),
            cudaErrorInvalidMemcpyDirection);
  EXPECT_EQ(cudaMemcpy(host.data(), pinned, 64, cudaMemcpyHostToDevice),
            cudaErrorInvalidMemcpyDirection);
  EXPECT_EQ(cudaMemset(device, 0, 65), cudaErrorInvalidValue);
  EXPECT_EQ(cudaMemset(host.data(), 0, 1), cudaErrorInvalidValue);
  EXPECT_EQ(cudaMemset(device, 7, 64), cudaSuccess);
  EXPECT_EQ(cudaMemcpy(host.data(), device, 64, cudaMemcpyDefault), cudaSuccess);
  EXPECT_EQ(host[63], 7);
  cudaSetDevice(1);
  EXPECT_EQ(cudaMemcpy(device, host.data(), 64, cudaMemcpyHostToDevice), cudaErrorInvalidValue);
  cudaFree(device);
  cudaFreeHost(pinned);
}

}  // namespace
}  // namespace longrope::cuda
