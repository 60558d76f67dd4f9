// Rows of the embedding. One block a row; copies, so 2 * sizeof(T) bytes an element and no
// arithmetic. No shared memory, 26 registers.
#include "kernels/cuda/device.h"
#include "kernels/cuda/ops.h"

namespace longrope::cuda {
namespace {

constexpr int kThreads = 128;

template <class T>
__global__ void __launch_bounds__(kThreads)
    EmbedKernel(T* out, const T* table, const int32_t* tokens, int64_t width) {
  const T* from = table + tokens[blockIdx.x] * width;
  T* to = out + blockIdx.x * width;
  for (int64_t i = threadIdx.x; i < width; i += kThreads) to[i] = from[i];
}

}  // namespace

template <class T>
void Embed(T* out, const T* table, const int32_t* tokens, int64_t rows, int64_t width,
           cudaStream_t stream) {
  LONGROPE_CUDA_CHECK(Launch(EmbedKernel<T>, dim3(static_cast<unsigned>(rows)), dim3(kThreads), 0,
                             stream, out, table, tokens, width));
}

template void Embed(float*, const float*, const int32_t*, int64_t, int64_t, cudaStream_t);
template void Embed(__half*, const __half*, const int32_t*, int64_t, int64_t, cudaStream_t);
template void Embed(__nv_bfloat16*, const __nv_bfloat16*, const int32_t*, int64_t, int64_t,
                    cudaStream_t);

}  // namespace longrope::cuda
