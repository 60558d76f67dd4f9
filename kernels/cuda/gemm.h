// Matrix products by cuBLAS: the only place that calls it.
#pragma once

#include <cublas_v2.h>
#include <cuda_bf16.h>
#include <cuda_fp16.h>

#include <cstdint>

#include "kernels/cuda/memory.h"

namespace longrope::cuda {

// Products on one stream. Sums are float32 whatever the type; float32 is not rounded to TF32. Equal
// sizes give equal bits on one kind of device.
class Gemm {
 public:
  explicit Gemm(const Stream& stream);
  ~Gemm() { cublasDestroy(handle_); }
  Gemm(const Gemm&) = delete;
  Gemm& operator=(const Gemm&) = delete;

  // y = x W^T, or y + x W^T if `add`: x [rows, inputs], W [outputs, inputs], y [rows, outputs]. T
  // as in ops.h; Out: T, or float.
  template <class T, class Out>
  void Project(Out* y, const T* x, const T* weight, int64_t rows, int64_t inputs, int64_t outputs,
               bool add = false) const;

 private:
  cublasHandle_t handle_ = nullptr;
  DeviceArray<unsigned char> workspace_;
};

}  // namespace longrope::cuda
