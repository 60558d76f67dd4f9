#include "kernels/cuda/gemm.h"

#include <type_traits>

#include "kernels/cuda/memory_plan.h"

namespace longrope::cuda {
namespace {

template <class T>
constexpr cudaDataType_t TypeOf() {
  if constexpr (std::is_same_v<T, __half>) return CUDA_R_16F;
  if constexpr (std::is_same_v<T, __nv_bfloat16>) return CUDA_R_16BF;
  return CUDA_R_32F;
}

}  // namespace

Gemm::Gemm(const Stream& stream) : workspace_(kBlasWorkspaceBytes) {
  LONGROPE_CUDA_CHECK(cublasCreate(&handle_));
  try {
    LONGROPE_CUDA_CHECK(cublasSetStream(handle_, stream.get()));
    // Its own workspace would depend on the device and be counted nowhere.
    LONGROPE_CUDA_CHECK(cublasSetWorkspace(handle_, workspace_.get(), kBlasWorkspaceBytes));
  } catch (...) {
    cublasDestroy(handle_);
    throw;
  }
}

template <class T, class Out>
void Gemm::Project(Out* y, const T* x, const T* weight, int64_t rows, int64_t inputs,
                   int64_t outputs, bool add) const {
  // Pedantic: as the names of the types say. Else 16-bit partial sums may be rounded to 16 bits.
  const cublasMath_t mode =
      std::is_same_v<T, float>
          ? CUBLAS_PEDANTIC_MATH
          : static_cast<cublasMath_t>(CUBLAS_DEFAULT_MATH |
                                      CUBLAS_MATH_DISALLOW_REDUCED_PRECISION_REDUCTION);
  LONGROPE_CUDA_CHECK(cublasSetMathMode(handle_, mode));
  const float one = 1, beta = add ? 1 : 0;
  // Row-major matrices are the transposes of column-major ones: y^T = W x^T.
  LONGROPE_CUDA_CHECK(cublasGemmEx(
      handle_, CUBLAS_OP_T, CUBLAS_OP_N, static_cast<int>(outputs), static_cast<int>(rows),
      static_cast<int>(inputs), &one, weight, TypeOf<T>(), static_cast<int>(inputs), x, TypeOf<T>(),
      static_cast<int>(inputs), &beta, y, TypeOf<Out>(), static_cast<int>(outputs),
      CUBLAS_COMPUTE_32F, CUBLAS_GEMM_DEFAULT));
}

template void Gemm::Project(float*, const float*, const float*, int64_t, int64_t, int64_t,
                            bool) const;
template void Gemm::Project(__half*, const __half*, const __half*, int64_t, int64_t, int64_t,
                            bool) const;
template void Gemm::Project(float*, const __half*, const __half*, int64_t, int64_t, int64_t,
                            bool) const;
template void Gemm::Project(__nv_bfloat16*, const __nv_bfloat16*, const __nv_bfloat16*, int64_t,
                            int64_t, int64_t, bool) const;
template void Gemm::Project(float*, const __nv_bfloat16*, const __nv_bfloat16*, int64_t, int64_t,
                            int64_t, bool) const;

}  // namespace longrope::cuda
