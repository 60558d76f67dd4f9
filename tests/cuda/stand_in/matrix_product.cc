#include "tests/cuda/stand_in/matrix_product.h"

#include <cuda_bf16.h>
#include <cuda_fp16.h>

#include <algorithm>
#include <vector>

namespace longrope::stand_in {
namespace {

float Load(const MatrixView& view, int64_t at) {
  switch (view.type) {
    case CUDA_R_16F:
      return __half2float(static_cast<const __half*>(view.data)[at]);
    case CUDA_R_16BF:
      return __bfloat162float(static_cast<const __nv_bfloat16*>(view.data)[at]);
    default:
      return static_cast<const float*>(view.data)[at];
  }
}

void Store(const MatrixView& view, int64_t at, float value) {
  switch (view.type) {
    case CUDA_R_16F:
      static_cast<__half*>(view.data)[at] = __float2half_rn(value);
      break;
    case CUDA_R_16BF:
      static_cast<__nv_bfloat16*>(view.data)[at] = __float2bfloat16_rn(value);
      break;
    default:
      static_cast<float*>(view.data)[at] = value;
  }
}

// op(view) as f32, [columns][rows].
std::vector<float> Expand(const MatrixView& view, int64_t rows, int64_t columns) {
  std::vector<float> values(static_cast<size_t>(rows * columns));
  for (int64_t column = 0; column < columns; ++column) {
    for (int64_t row = 0; row < rows; ++row) {
      const int64_t at = view.transposed ? row * view.stride + column : column * view.stride + row;
      values[static_cast<size_t>(column * rows + row)] = Load(view, at);
    }
  }
  return values;
}

// sums[row] += a[k][row] b[k] for k in [begin, end). The arrays are the stand-in's own: no
// sanitizer has anything to find in them.
__attribute__((no_sanitize("address", "undefined"))) void Accumulate(float* __restrict__ sums,
                                                                     const float* __restrict__ a,
                                                                     const float* __restrict__ b,
                                                                     int64_t m, int64_t begin,
                                                                     int64_t end) {
  for (int64_t k = begin; k < end; ++k) {
    const float factor = b[k];
    const float* column = a + k * m;
    for (int64_t row = 0; row < m; ++row) sums[row] += column[row] * factor;
  }
}

}  // namespace

size_t ElementBytes(cudaDataType type) {
  switch (type) {
    case CUDA_R_32F:
      return 4;
    case CUDA_R_16F:
    case CUDA_R_16BF:
      return 2;
    default:
      return 0;
  }
}

void Multiply(const Product& p, ProductSums sums) {
  const std::vector<float> a = p.alpha == 0 ? std::vector<float>() : Expand(p.a, p.m, p.k);
  const std::vector<float> b = p.alpha == 0 ? std::vector<float>() : Expand(p.b, p.k, p.n);
  const int64_t parts = sums == ProductSums::kAscending ? 1 : 1 + (p.m + 3 * p.n + 7 * p.k) % 4;
  std::vector<float> total(static_cast<size_t>(p.m)), part(total.size());
  for (int64_t column = 0; column < p.n; ++column) {
    std::fill(total.begin(), total.end(), 0.0f);
    for (int64_t i = 0; i < parts && p.alpha != 0; ++i) {
      std::fill(part.begin(), part.end(), 0.0f);
      Accumulate(part.data(), a.data(), b.data() + column * p.k, p.m, p.k * i / parts,
                 p.k * (i + 1) / parts);
      for (size_t row = 0; row < total.size(); ++row) total[row] += part[row];
    }
    for (int64_t row = 0; row < p.m; ++row) {
      const int64_t at = column * p.c.stride + row;
      float value = p.alpha * total[static_cast<size_t>(row)];
      if (p.beta != 0) value += p.beta * Load(p.c, at);
      Store(p.c, at, value);
    }
  }
}

}  // namespace longrope::stand_in
