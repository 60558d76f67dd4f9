// Log-sum-exp over the vocabulary, part by part, so that logits of all ids never exist together.
// One block of 256 threads a row reads its logits twice (the second time from cache): about 1 FLOP
// a byte, bound by memory. 256 bytes of shared memory, 39 registers.
#include <climits>

#include "kernels/cuda/device.h"
#include "kernels/cuda/ops.h"
#include "kernels/cuda/reduce.cuh"

namespace longrope::cuda {
namespace {

constexpr int kThreads = 256;

__global__ void __launch_bounds__(kThreads) BeginHeadKernel(HeadState* state, int64_t rows) {
  const int64_t row = static_cast<int64_t>(blockIdx.x) * kThreads + threadIdx.x;
  if (row < rows) state[row] = {-INFINITY, 0, 0, INT_MAX};
}

// The lowest of the block's ids; every thread gets it. `scratch`: 32 ids of shared memory.
__device__ inline int32_t BlockLowest(int32_t id, int32_t* scratch) {
  const int lane = static_cast<int>(threadIdx.x) % 32, warp = static_cast<int>(threadIdx.x) / 32;
  for (int offset = 16; offset > 0; offset /= 2) {
    id = min(id, __shfl_xor_sync(kAllLanes, id, offset));
  }
  if (lane == 0) scratch[warp] = id;
  __syncthreads();
  id = lane < kThreads / 32 ? scratch[lane] : INT_MAX;
  for (int offset = 16; offset > 0; offset /= 2) {
    id = min(id, __shfl_xor_sync(kAllLanes, id, offset));
  }
  return id;
}

__global__ void __launch_bounds__(kThreads)
    AddToHeadKernel(HeadState* state, const float* logits, const int32_t* targets, int32_t first,
                    int32_t width) {
  const int32_t target = targets[blockIdx.x];
  if (target < 0) return;  // the whole block
  float* scratch = SharedMemory<float>();
  const float* row = logits + static_cast<int64_t>(blockIdx.x) * width;
  const HeadState before = state[blockIdx.x];
  float highest = -INFINITY;
  for (int32_t i = static_cast<int32_t>(threadIdx.x); i < width; i += kThreads) {
    highest = fmaxf(highest, row[i]);
  }
  highest = BlockReduce<Max>(highest, scratch);
  const float maximum = fmaxf(before.maximum, highest);
  float sum = 0;
  int32_t at = INT_MAX;
  for (int32_t i = static_cast<int32_t>(threadIdx.x); i < width; i += kThreads) {
    sum += expf(row[i] - maximum);
    if (row[i] == highest) at = min(at, first + i);
  }
  sum = BlockReduce<Sum>(sum, scratch);
  at = BlockLowest(at, reinterpret_cast<int32_t*>(scratch + 32));
  if (threadIdx.x != 0) return;
  HeadState after = before;
  after.maximum = maximum;
  // Before the first part both are -inf, and nothing was summed.
  after.sum = (before.sum == 0 ? 0 : before.sum * expf(before.maximum - maximum)) + sum;
  if (highest > before.maximum) after.likeliest = at;  // an equal one of a lower id stays
  if (target >= first && target < first + width) after.target = row[target - first];
  state[blockIdx.x] = after;
}

__global__ void __launch_bounds__(kThreads)
    FinishHeadKernel(float* nats, uint8_t* likeliest, const HeadState* state,
                     const int32_t* targets, int64_t rows) {
  const int64_t row = static_cast<int64_t>(blockIdx.x) * kThreads + threadIdx.x;
  if (row >= rows) return;
  const HeadState end = state[row];
  const bool scored = targets[row] >= 0;
  const float loss = logf(end.sum) + (end.maximum - end.target);
  nats[row] = scored ? loss : 0.0f;
  likeliest[row] = scored && isfinite(loss) && end.likeliest == targets[row] ? 1 : 0;
}

dim3 GridOf(int64_t rows) { return dim3(static_cast<unsigned>((rows + kThreads - 1) / kThreads)); }

}  // namespace

void BeginHead(HeadState* state, int64_t rows, cudaStream_t stream) {
  LONGROPE_CUDA_CHECK(
      Launch(BeginHeadKernel, GridOf(rows), dim3(kThreads), 0, stream, state, rows));
}

void AddToHead(HeadState* state, const float* logits, const int32_t* targets, int64_t rows,
               int32_t first, int32_t width, cudaStream_t stream) {
  LONGROPE_CUDA_CHECK(Launch(AddToHeadKernel, dim3(static_cast<unsigned>(rows)), dim3(kThreads),
                             32 * (sizeof(float) + sizeof(int32_t)), stream, state, logits, targets,
                             first, width));
}

void FinishHead(float* nats, uint8_t* likeliest, const HeadState* state, const int32_t* targets,
                int64_t rows, cudaStream_t stream) {
  LONGROPE_CUDA_CHECK(Launch(FinishHeadKernel, GridOf(rows), dim3(kThreads), 0, stream, nats,
                             likeliest, state, targets, rows));
}

}  // namespace longrope::cuda
