// Rotary embedding by a table of cos and sin, which the host computed in double. One block of 128
// threads a row; reads and writes x once, the table once a head (from cache): under 1 FLOP a byte,
// bound by memory. No shared memory, 34 registers.
#include "kernels/cuda/number.cuh"
#include "kernels/cuda/ops.h"

namespace longrope::cuda {
namespace {

constexpr int kThreads = 128;

template <class T>
__global__ void __launch_bounds__(kThreads)
    RotateKernel(T* x, const float* cos, const float* sin, int heads, int pairs) {
  const float* row_cos = cos + static_cast<int64_t>(blockIdx.x) * pairs;
  const float* row_sin = sin + static_cast<int64_t>(blockIdx.x) * pairs;
  T* row = x + static_cast<int64_t>(blockIdx.x) * heads * 2 * pairs;
  for (int i = static_cast<int>(threadIdx.x); i < heads * pairs; i += kThreads) {
    const int head = i / pairs, pair = i % pairs;
    T* low = row + head * 2 * pairs + pair;
    T* high = low + pairs;
    const float a = ToFloat(*low), b = ToFloat(*high);
    *low = FromFloat<T>(a * row_cos[pair] - b * row_sin[pair]);
    *high = FromFloat<T>(b * row_cos[pair] + a * row_sin[pair]);
  }
}

}  // namespace

template <class T>
void Rotate(T* x, const float* cos, const float* sin, int64_t rows, int heads, int pairs,
            cudaStream_t stream) {
  LONGROPE_CUDA_CHECK(Launch(RotateKernel<T>, dim3(static_cast<unsigned>(rows)), dim3(kThreads), 0,
                             stream, x, cos, sin, heads, pairs));
}

template void Rotate(float*, const float*, const float*, int64_t, int, int, cudaStream_t);
template void Rotate(__half*, const float*, const float*, int64_t, int, int, cudaStream_t);
template void Rotate(__nv_bfloat16*, const float*, const float*, int64_t, int, int, cudaStream_t);

}  // namespace longrope::cuda
