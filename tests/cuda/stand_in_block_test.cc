// Misuse in kernels is noticed, named and survived; threads run in every order.
#include "kernels/cuda/device.h"
#include "tests/cuda/stand_in/fixture.h"

namespace longrope::cuda {
namespace {

using stand_in::DeviceArray;
using stand_in::kThreadOrders;
using stand_in::ThreadOrder;

class StandInBlock : public stand_in::StandInTest {
 protected:
  // What a kernel ends in, in every order of threads; nothing is left of it.
  template <class... Parameters, class... Arguments>
  void ExpectFault(const char* part, void (*kernel)(Parameters...), int threads, size_t shared,
                   Arguments... arguments) {
    for (const ThreadOrder order : kThreadOrders) {
      stand_in::Reorder(order, stand_in::StreamOrder::kLate);
      LONGROPE_CUDA_CHECK(Launch(kernel, 1, threads, shared, nullptr, arguments...));
      EXPECT_FAULT(cudaDeviceSynchronize(), part);
      EXPECT_EQ(cudaDeviceSynchronize(), cudaSuccess);
    }
  }
};

__global__ void MissedBarrier() {
  if (threadIdx.x == 5) return;
  __syncthreads();
}
__global__ void BarrierInOneWarp() {
  if (threadIdx.x < 32) __syncthreads();
  __syncwarp();
}
__global__ void BarrierInHalfAWarp() {
  if (threadIdx.x % 2 == 0) __syncthreads();
  __syncwarp();
}

TEST_F(StandInBlock, BarrierThatSomeDoNotReach) {
  ExpectFault(
      "__syncthreads is not reached by every thread of the block (block 0,0,0, thread 5,0,0)",
      MissedBarrier, 64, 0);
  ExpectFault("__syncthreads is not reached", BarrierInOneWarp, 64, 0);
  ExpectFault("is at __syncthreads", BarrierInHalfAWarp, 64, 0);
}

__global__ void PartialWarpMma() {
  float d[4] = {};
  uint32_t a[4] = {};
  if (threadIdx.x % 4 != 3) Mma<__half>(d, a, 0, 0);
}
__global__ void MixedCollectives() {
  float d[4] = {};
  uint32_t a[4] = {};
  if (threadIdx.x % 2 == 0) {
    Mma<__half>(d, a, 0, 0);
  } else {
    Mma<__nv_bfloat16>(d, a, 0, 0);
  }
}
__global__ void SmallWarpMma() {
  float d[4] = {};
  uint32_t a[4] = {};
  Mma<__half>(d, a, 0, 0);
}

TEST_F(StandInBlock, CollectiveByPartOfAWarp) {
  ExpectFault("has ended", PartialWarpMma, 64, 0);
  ExpectFault("in different operations", MixedCollectives, 64, 0);
  ExpectFault("fewer than 32 threads", SmallWarpMma, 48, 0);
}

__global__ void ShuffleOutsideOwnMask() { __shfl_xor_sync(0xffffu, 1.0f, 1); }
__global__ void ShuffleFromOutsideMask() {
  if (threadIdx.x < 16) __shfl_sync(0xffffu, 1.0f, 20);
}
__global__ void ShuffleWithDifferentMasks() {
  __shfl_xor_sync(threadIdx.x < 16 ? ~0u : 0xffff0000u, 1.0f, 1);
}
__global__ void ShuffleByHalf() {
  if (threadIdx.x < 16) __shfl_xor_sync(~0u, 1.0f, 1);
}

TEST_F(StandInBlock, ShufflesWithWrongMasks) {
  ExpectFault("not in the mask", ShuffleOutsideOwnMask, 32, 0);
  ExpectFault("reads a lane that is not in its mask", ShuffleFromOutsideMask, 32, 0);
  ExpectFault("has ended", ShuffleByHalf, 32, 0);
  stand_in::Reorder(ThreadOrder::kForward, stand_in::StreamOrder::kLate);
  LONGROPE_CUDA_CHECK(Launch(ShuffleWithDifferentMasks, 1, 32, 0, nullptr));
  EXPECT_THROW(cudaDeviceSynchronize(), stand_in::Fault);
}

__global__ void PendingCopy(const float* source) {
  CopyAsync16(SharedMemory<float>() + threadIdx.x * 4, source, 16);
  CopyCommit();
  CopyWait<1>();
}
__global__ void UncommittedCopy(const float* source) {
  CopyAsync16(SharedMemory<float>() + threadIdx.x * 4, source, 16);
  CopyWait<0>();
}
__global__ void CopyTo(size_t target, const char* source, int bytes) {
  CopyAsync16(SharedMemory<char>() + target, source, bytes);
  CopyCommit();
  CopyWait<0>();
}

TEST_F(StandInBlock, CopiesThatAreWrong) {
  const DeviceArray<float> source(std::vector<float>(64));
  const auto* bytes = reinterpret_cast<const char*>(source.data());
  ExpectFault("never waited for", PendingCopy, 32, 32 * 16, source.data());
  ExpectFault("never waited for", UncommittedCopy, 32, 32 * 16, source.data());
  ExpectFault("target of cp.async", CopyTo, 1, 64, size_t{8}, bytes, 16);
  ExpectFault("target of cp.async", CopyTo, 1, 64, size_t{64}, bytes, 16);
  ExpectFault("target of cp.async", CopyTo, 1, 60, size_t{48}, bytes, 16);
  ExpectFault("source of cp.async", CopyTo, 1, 64, size_t{0}, bytes + 4, 16);
  ExpectFault("number of bytes", CopyTo, 1, 64, size_t{0}, bytes, 17);
  ExpectFault("number of bytes", CopyTo, 1, 64, size_t{0}, bytes, -1);
}

__global__ void LoadRow(size_t offset) {
  uint32_t r[4];
  LoadMatrix4(r, SharedMemory<char>() + offset);
}

TEST_F(StandInBlock, MatrixRowsThatAreWrong) {
  ExpectFault("row of ldmatrix", LoadRow, 32, 64, size_t{8});
  ExpectFault("row of ldmatrix", LoadRow, 32, 64, size_t{64});
  stand_in::Reset();
}

__global__ void WriteShared(int i) {
  if (threadIdx.x == 0) SharedMemory<int>()[i] = 1;
}

TEST_F(StandInBlock, WritesBesideSharedMemory) {
  if (stand_in::kAddressSanitizer) {
    LONGROPE_CUDA_CHECK(Launch(WriteShared, 1, 32, 64, nullptr, 16));
    EXPECT_DEATH(cudaDeviceSynchronize(), "AddressSanitizer");
    stand_in::Reset();
    return;
  }
  ExpectFault("past the end of shared memory", WriteShared, 32, 64, 16);
  ExpectFault("past the end of shared memory", WriteShared, 32, 64, -1);
}

__global__ void ReadShared(float* out) { out[threadIdx.x] = SharedMemory<float>()[threadIdx.x]; }

TEST_F(StandInBlock, SharedMemoryIsPoisonedForEveryBlock) {
  const DeviceArray<float> out(32);
  LONGROPE_CUDA_CHECK(Launch(ReadShared, 3, 32, 128, nullptr, out.data()));
  for (const float value : out.Get()) EXPECT_NE(value, value);
}

TEST_F(StandInBlock, LaunchesThatAreRefused) {
  const auto refusal = [](dim3 grid, dim3 block, size_t shared) {
    try {
      LONGROPE_CUDA_CHECK(Launch(MissedBarrier, grid, block, shared, nullptr));
    } catch (const DeviceError& error) {
      EXPECT_EQ(error.kind(), DeviceError::Kind::kOther);
      return std::string(error.what());
    }
    return std::string("none");
  };
  for (const dim3 grid : {dim3(0), dim3(1, 0), dim3(1, 65536), dim3(1, 1, 65536)}) {
    EXPECT_NE(refusal(grid, 32, 0).find("cudaErrorInvalidConfiguration"), std::string::npos);
  }
  for (const dim3 block : {dim3(0), dim3(1025), dim3(32, 33), dim3(1, 1, 65)}) {
    EXPECT_NE(refusal(1, block, 0).find("cudaErrorInvalidConfiguration"), std::string::npos);
  }
  EXPECT_NE(refusal(1, 32, 99 * 1024 + 1).find("cudaErrorInvalidValue"), std::string::npos);
  EXPECT_EQ(stand_in::Counts(0).pending, 0);
  EXPECT_EQ(cudaGetLastError(), cudaSuccess);
}

TEST_F(StandInBlock, MuchSharedMemoryMustBeAskedFor) {
  const auto kernel = reinterpret_cast<const void*>(&MissedBarrier);
  const auto enqueue = [&](size_t shared) {
    return stand_in::EnqueueKernel(kernel, {1, 32, shared}, nullptr, [] {});
  };
  EXPECT_EQ(enqueue(48 * 1024), cudaSuccess);
  EXPECT_EQ(enqueue(48 * 1024 + 16), cudaErrorInvalidValue);
  const auto attribute = cudaFuncAttributeMaxDynamicSharedMemorySize;
  EXPECT_EQ(cudaFuncSetAttribute(kernel, attribute, 99 * 1024 + 1), cudaErrorInvalidValue);
  EXPECT_EQ(cudaGetLastError(), cudaErrorInvalidValue);
  EXPECT_EQ(cudaFuncSetAttribute(kernel, attribute, 90 * 1024), cudaSuccess);
  EXPECT_EQ(enqueue(90 * 1024), cudaSuccess);
  EXPECT_EQ(enqueue(90 * 1024 + 16), cudaErrorInvalidValue);
}

// The turns that threads (one a warp) and blocks take up to a barrier.
__global__ void TakeTurns(int* next, int* turns) {
  if (threadIdx.x % 32 == 0) turns[blockIdx.x * 2 + threadIdx.x / 32] = (*next)++;
  __syncwarp();
  __syncthreads();
}

TEST_F(StandInBlock, OrdersDiffer) {
  if (stand_in::kThreadSanitizer) GTEST_SKIP() << "the turns are a race";
  const auto turns = [](ThreadOrder order, uint32_t seed) {
    stand_in::Reorder(order, stand_in::StreamOrder::kLate, seed);
    const DeviceArray<int> next(std::vector<int>{0}), out(8);
    LONGROPE_CUDA_CHECK(Launch(TakeTurns, 4, 64, 0, nullptr, next.data(), out.data()));
    return out.Get();
  };
  EXPECT_EQ(turns(ThreadOrder::kForward, 1), (std::vector<int>{0, 1, 2, 3, 4, 5, 6, 7}));
  EXPECT_EQ(turns(ThreadOrder::kWarpForward, 1), (std::vector<int>{0, 1, 2, 3, 4, 5, 6, 7}));
  EXPECT_EQ(turns(ThreadOrder::kReverse, 1), (std::vector<int>{7, 6, 5, 4, 3, 2, 1, 0}));
  EXPECT_EQ(turns(ThreadOrder::kWarpBackward, 1), (std::vector<int>{7, 6, 5, 4, 3, 2, 1, 0}));
  EXPECT_EQ(turns(ThreadOrder::kRandom, 1), turns(ThreadOrder::kRandom, 1));
  EXPECT_NE(turns(ThreadOrder::kRandom, 1), turns(ThreadOrder::kRandom, 2));
}

}  // namespace
}  // namespace longrope::cuda
