// The gate of the feed-forward half. One thread an element: reads two, writes one, about 2 FLOP a
// byte, bound by memory. No shared memory, 19 registers.
#include "kernels/cuda/number.cuh"
#include "kernels/cuda/ops.h"

namespace longrope::cuda {
namespace {

constexpr int kThreads = 256;

template <class T>
__global__ void __launch_bounds__(kThreads) SwiGluKernel(T* gate, const T* up, int64_t count) {
  const int64_t i = static_cast<int64_t>(blockIdx.x) * kThreads + threadIdx.x;
  if (i >= count) return;
  const float value = ToFloat(gate[i]);
  gate[i] = FromFloat<T>(value / (1.0f + expf(-value)) * ToFloat(up[i]));
}

}  // namespace

template <class T>
void SwiGlu(T* gate, const T* up, int64_t count, cudaStream_t stream) {
  LONGROPE_CUDA_CHECK(Launch(SwiGluKernel<T>,
                             dim3(static_cast<unsigned>((count + kThreads - 1) / kThreads)),
                             dim3(kThreads), 0, stream, gate, up, count));
}

template void SwiGlu(float*, const float*, int64_t, cudaStream_t);
template void SwiGlu(__half*, const __half*, int64_t, cudaStream_t);
template void SwiGlu(__nv_bfloat16*, const __nv_bfloat16*, int64_t, cudaStream_t);

}  // namespace longrope::cuda
