// Matrix products and normalisation on one block. Included only by block_kernels.h: everything here
// is compiled once per instruction set, inside its namespace.
#pragma once

#include <Eigen/Core>
#include <cstdint>

#include "kernels/reference/block.h"

namespace longrope::reference {
inline namespace LONGROPE_ISA {

template <class T>
using Matrix = Eigen::Matrix<T, Eigen::Dynamic, Eigen::Dynamic, Eigen::RowMajor>;
template <class T>
using View = Eigen::Map<Matrix<T>, 0, Eigen::OuterStride<>>;
template <class T>
using ConstView = Eigen::Map<const Matrix<T>, 0, Eigen::OuterStride<>>;

inline float Exp(float x) { return __builtin_expf(x); }
inline double Exp(double x) { return __builtin_exp(x); }
inline double Log(double x) { return __builtin_log(x); }
inline float SquareRoot(float x) { return __builtin_sqrtf(x); }
inline double SquareRoot(double x) { return __builtin_sqrt(x); }

// out[rows, outputs] = x[rows, inputs] * w[outputs, inputs]^T, all dense.
template <class T>
void Project(const T* x, const T* w, int64_t rows, int64_t inputs, int64_t outputs, T* out) {
  View<T>(out, rows, outputs, Eigen::OuterStride<>(outputs)).noalias() =
      ConstView<T>(x, rows, inputs, Eigen::OuterStride<>(inputs)) *
      ConstView<T>(w, outputs, inputs, Eigen::OuterStride<>(inputs)).transpose();
}

// out += x * w^T, dense.
template <class T>
void ProjectOnto(const T* x, const T* w, int64_t rows, int64_t inputs, int64_t outputs, T* out) {
  View<T>(out, rows, outputs, Eigen::OuterStride<>(outputs)).noalias() +=
      ConstView<T>(x, rows, inputs, Eigen::OuterStride<>(inputs)) *
      ConstView<T>(w, outputs, inputs, Eigen::OuterStride<>(inputs)).transpose();
}

// Sum of term(0) ... term(count - 1): 16 partial sums, then one fixed tree, whatever the vector
// width of the machine.
template <class T, class Term>
T SumOf(int64_t count, const Term& term) {
  T part[16] = {};
  int64_t i = 0;
  for (; i + 16 <= count; i += 16) {
    for (int lane = 0; lane < 16; ++lane) part[lane] += term(i + lane);
  }
  for (int lane = 0; i < count; ++i, ++lane) part[lane] += term(i);
  for (int width = 8; width > 0; width /= 2) {
    for (int lane = 0; lane < width; ++lane) part[lane] += part[lane + width];
  }
  return part[0];
}

// out = x / sqrt(mean(x^2) + epsilon) * weight, row by row (RMSNorm).
template <class T>
void Normalise(const T* x, const T* weight, int64_t rows, int64_t width, float epsilon, T* out) {
  for (int64_t row = 0; row < rows; ++row, x += width, out += width) {
    const T squares = SumOf<T>(width, [x](int64_t i) { return x[i] * x[i]; });
    const T scale = T(1) / SquareRoot(squares / static_cast<T>(width) + static_cast<T>(epsilon));
    for (int64_t i = 0; i < width; ++i) out[i] = x[i] * scale * weight[i];
  }
}

// Rotates every head of every row, half-split pairs (i, i + head_dim / 2), in place.
template <class T>
void Rotate(const Rotation& rotation, int heads, int head_dim, T* x) {
  const int64_t pairs = head_dim / 2;
  for (int64_t row = 0; row < rotation.rows; ++row) {
    const float *cos = rotation.cos + row * pairs, *sin = rotation.sin + row * pairs;
    for (int head = 0; head < heads; ++head, x += head_dim) {
      for (int64_t i = 0; i < pairs; ++i) {
        const T first = x[i], second = x[i + pairs];
        const T c = static_cast<T>(cos[i]), s = static_cast<T>(sin[i]);
        x[i] = first * c - second * s;
        x[i + pairs] = second * c + first * s;
      }
    }
  }
}

}  // namespace LONGROPE_ISA
}  // namespace longrope::reference
