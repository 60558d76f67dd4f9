// C = alpha op(A) op(B) + beta C as cuBLAS defines it, in plain loops.
#pragma once

#include <library_types.h>

#include <cstdint>

#include "tests/cuda/stand_in/stand_in.h"

namespace longrope::stand_in {

// Column-major: element (row, column) is at column * stride + row. If transposed, of op(A)
// (column, row).
struct MatrixView {
  void* data;
  cudaDataType type;  // CUDA_R_32F, CUDA_R_16F or CUDA_R_16BF
  int64_t stride;
  bool transposed;
};

struct Product {
  int64_t m, n, k;
  float alpha, beta;
  MatrixView a, b, c;
};

// Sums are f32; C is not read if beta is 0.
void Multiply(const Product& product, ProductSums sums);

// Bytes of an element; 0 for types that are not offered.
size_t ElementBytes(cudaDataType type);

}  // namespace longrope::stand_in
