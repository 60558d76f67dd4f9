// Missing barriers: the thread sanitizer reports them, and orders of threads give other results.
#include <cstdlib>
#include <set>

#include "kernels/cuda/device.h"
#include "tests/cuda/stand_in/fixture.h"

namespace longrope::cuda {
namespace {

using stand_in::DeviceArray;
using stand_in::kThreadSanitizer;

// out[block] = sum of the block's 128 values.
template <bool kFirstBarrier, bool kSecondBarrier>
__global__ void BlockSum(float* out, const float* in) {
  auto* partial = SharedMemory<float>();
  const unsigned warp = threadIdx.x / 32, lane = threadIdx.x % 32;
  for (int round = 0; round < 2; ++round) {  // the second one overwrites what the first still reads
    float sum = in[blockIdx.x * blockDim.x + threadIdx.x] + static_cast<float>(round);
    for (int step = 16; step > 0; step /= 2) sum += __shfl_xor_sync(~0u, sum, step);
    if (lane == 0) partial[warp] = sum;
    if (kFirstBarrier) __syncthreads();
    sum = partial[0] + partial[1] + partial[2] + partial[3];
    if (kSecondBarrier) __syncthreads();
    out[(round * gridDim.x + blockIdx.x) * blockDim.x + threadIdx.x] = sum;
  }
}

// Through shared memory from lane to lane of a warp.
template <bool kFence>
__global__ void Reverse(float* out, const float* in) {
  auto* values = SharedMemory<float>();
  values[threadIdx.x] = in[threadIdx.x];
  if (kFence) __syncwarp();
  out[threadIdx.x] = values[threadIdx.x ^ 31];
}

// Through shared memory by asynchronous copies, each of 16 bytes.
template <bool kWaitFirst>
__global__ void CopyThrough(float* out, const float* in) {
  auto* values = SharedMemory<float>();
  if (threadIdx.x < 16) CopyAsync16(values + 4 * threadIdx.x, in + 4 * threadIdx.x, 16);
  CopyCommit();
  if (kWaitFirst) CopyWait<0>();
  __syncthreads();
  if (!kWaitFirst) CopyWait<0>();  // says nothing about the copies of other threads
  out[threadIdx.x] = values[63 - threadIdx.x];
}

// Blocks that all write the same elements, each its own number.
__global__ void OverlappingBlocks(float* out) {
  out[(threadIdx.x + blockIdx.x) % blockDim.x] = static_cast<float>(blockIdx.x);
}

using Kernel = std::vector<float> (*)();

template <bool kFirst, bool kSecond>
std::vector<float> RunBlockSum() {
  std::vector<float> values(256);
  for (size_t i = 0; i < values.size(); ++i) values[i] = static_cast<float>(i % 7);
  const DeviceArray<float> in(values), out(512);
  LONGROPE_CUDA_CHECK(
      Launch(BlockSum<kFirst, kSecond>, 2, 128, 16, nullptr, out.data(), in.data()));
  return out.Get();
}
template <bool kFence>
std::vector<float> RunReverse() {
  const DeviceArray<float> in(std::vector<float>(64, 1.0f)), out(64);
  LONGROPE_CUDA_CHECK(Launch(Reverse<kFence>, 1, 64, 256, nullptr, out.data(), in.data()));
  return out.Get();
}
template <bool kWaitFirst>
std::vector<float> RunCopyThrough() {
  const DeviceArray<float> in(std::vector<float>(64, 1.0f)), out(64);
  LONGROPE_CUDA_CHECK(Launch(CopyThrough<kWaitFirst>, 1, 64, 256, nullptr, out.data(), in.data()));
  return out.Get();
}
std::vector<float> RunOverlappingBlocks() {
  const DeviceArray<float> out(64);
  LONGROPE_CUDA_CHECK(Launch(OverlappingBlocks, 2, 64, 0, nullptr, out.data()));
  return out.Get();
}

// Different results over the orders of threads; a NaN counts as -1.
size_t Results(Kernel kernel) {
  std::set<std::vector<float>> results;
  for (const auto order : stand_in::kThreadOrders) {
    for (uint32_t seed = 1; seed <= 3; ++seed) {
      stand_in::Reorder(order, stand_in::StreamOrder::kLate, seed);
      std::vector<float> result = kernel();
      for (float& value : result) value = value == value ? value : -1.0f;
      results.insert(std::move(result));
    }
  }
  return results.size();
}

class StandInRace : public stand_in::StandInTest {
 protected:
  // In a process of its own: the report ends it.
  void ExpectNoticed(Kernel kernel) {
    if (kThreadSanitizer) {
      GTEST_FLAG_SET(death_test_style, "threadsafe");
      for (const auto order : {stand_in::ThreadOrder::kForward, stand_in::ThreadOrder::kReverse}) {
        EXPECT_EXIT(
            {
              stand_in::Reorder(order, stand_in::StreamOrder::kLate);
              kernel();
              std::exit(0);
            },
            ::testing::ExitedWithCode(66), "data race");
      }
    } else {
      EXPECT_GT(Results(kernel), 1u);
    }
  }
};

TEST_F(StandInRace, NoneWithBarriers) {
  EXPECT_EQ(Results(RunBlockSum<true, true>), 1u);
  EXPECT_EQ(Results(RunReverse<true>), 1u);
  EXPECT_EQ(Results(RunCopyThrough<true>), 1u);
}

TEST_F(StandInRace, BarrierBeforeReading) { ExpectNoticed(RunBlockSum<false, true>); }
TEST_F(StandInRace, BarrierBeforeOverwriting) { ExpectNoticed(RunBlockSum<true, false>); }
TEST_F(StandInRace, WarpFence) { ExpectNoticed(RunReverse<false>); }
TEST_F(StandInRace, WaitForCopiesBeforeTheBarrier) { ExpectNoticed(RunCopyThrough<false>); }
TEST_F(StandInRace, BetweenBlocks) { ExpectNoticed(RunOverlappingBlocks); }

}  // namespace
}  // namespace longrope::cuda
