// Root-mean-square normalisation. One block of 256 threads a row, which reads it twice (the second
// time from cache) and writes it once: about 1 FLOP a byte, bound by memory. 128 bytes of shared
// memory, 40 registers.
#include "kernels/cuda/number.cuh"
#include "kernels/cuda/ops.h"
#include "kernels/cuda/reduce.cuh"

namespace longrope::cuda {
namespace {

constexpr int kThreads = 256;

template <class T>
__global__ void __launch_bounds__(kThreads)
    RmsNormKernel(T* out, const T* x, const float* weight, int64_t width, float epsilon) {
  const T* from = x + blockIdx.x * width;
  T* to = out + blockIdx.x * width;
  float squares = 0;
  for (int64_t i = threadIdx.x; i < width; i += kThreads) {
    const float value = ToFloat(from[i]);
    squares += value * value;
  }
  squares = BlockReduce<Sum>(squares, SharedMemory<float>());
  const float scale = InverseSquareRoot(squares / static_cast<float>(width) + epsilon);
  for (int64_t i = threadIdx.x; i < width; i += kThreads) {
    to[i] = FromFloat<T>(ToFloat(from[i]) * scale * weight[i]);
  }
}

}  // namespace

template <class T>
void RmsNorm(T* out, const T* x, const float* weight, int64_t rows, int64_t width, float epsilon,
             cudaStream_t stream) {
  LONGROPE_CUDA_CHECK(Launch(RmsNormKernel<T>, dim3(static_cast<unsigned>(rows)), dim3(kThreads),
                             32 * sizeof(float), stream, out, x, weight, width, epsilon));
}

template void RmsNorm(float*, const float*, const float*, int64_t, int64_t, float, cudaStream_t);
template void RmsNorm(__half*, const __half*, const float*, int64_t, int64_t, float, cudaStream_t);
template void RmsNorm(__nv_bfloat16*, const __nv_bfloat16*, const float*, int64_t, int64_t, float,
                      cudaStream_t);

}  // namespace longrope::cuda
