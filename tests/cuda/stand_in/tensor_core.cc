#include "tests/cuda/stand_in/tensor_core.h"

#include <cuda_fp16.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <cstring>
#include <limits>

namespace longrope::stand_in {
namespace {

float FloatOfBfloat16(uint32_t bits) {
  bits <<= 16;
  float value;
  std::memcpy(&value, &bits, sizeof value);
  return value;
}

// All values of f16: the toolkit's conversion is too slow for every product.
std::array<float, 65536> MakeHalfTable() {
  std::array<float, 65536> table;
  for (uint32_t bits = 0; bits < table.size(); ++bits) {
    __half_raw raw;
    raw.x = static_cast<unsigned short>(bits);
    table[bits] = __half2float(__half(raw));
  }
  return table;
}

float FloatOfHalf(uint32_t bits) {
  static const std::array<float, 65536> table = MakeHalfTable();
  return table[bits];
}

// c + a b as a pessimistic tensor core adds: eight products and the sum so far, each cut off below
// the 24th bit of the largest of them, then cut to f32.
float TruncatingSum(float c, const float a[16], const float b[16]) {
  for (int first = 0; first < 16; first += 8) {
    double terms[9];
    for (int k = 0; k < 8; ++k) terms[k] = double{a[first + k]} * b[first + k];
    terms[8] = c;
    int top = std::numeric_limits<int>::min();
    for (const double term : terms) {
      if (!std::isfinite(term)) return std::numeric_limits<float>::quiet_NaN();
      if (term != 0) top = std::max(top, std::ilogb(term));
    }
    if (top == std::numeric_limits<int>::min()) continue;
    double sum = 0;
    for (const double term : terms) {
      sum += std::ldexp(std::trunc(std::ldexp(term, 23 - top)), top - 23);
    }
    c = static_cast<float>(sum);
    if (std::fabs(c) > std::fabs(sum)) c = std::nextafter(c, 0.0f);
  }
  return c;
}

// Rows and columns of fragment elements, as in the tables of the PTX manual; element i of a lane is
// half i % 2 of register i / 2.
template <float (*ToFloat)(uint32_t)>
void Multiply(void* const operands[kWarp]) {
  float a[16][16], b[8][16], d[16][8];  // b: transposed
  for (int lane = 0; lane < kWarp; ++lane) {
    const auto& fragment = *static_cast<const MmaOperands*>(operands[lane]);
    const int g = lane / 4, t = lane % 4;
    for (int i = 0; i < 8; ++i) {
      const int row = g + (i / 2 % 2 == 0 ? 0 : 8), column = 2 * t + i % 2 + (i < 4 ? 0 : 8);
      a[row][column] = ToFloat(fragment.a[i / 2] >> 16 * (i % 2) & 0xffff);
    }
    for (int i = 0; i < 4; ++i) {
      b[g][2 * t + i % 2 + (i < 2 ? 0 : 8)] = ToFloat(fragment.b[i / 2] >> 16 * (i % 2) & 0xffff);
      d[i < 2 ? g : g + 8][2 * t + i % 2] = fragment.d[i];
    }
  }
  const bool truncating = CurrentTensorCore() == TensorCore::kTruncating;
  for (int row = 0; row < 16; ++row) {
    for (int column = 0; column < 8; ++column) {
      float& sum = d[row][column];
      if (truncating) {
        sum = TruncatingSum(sum, a[row], b[column]);
      } else {
        for (int k = 0; k < 16; ++k) sum += a[row][k] * b[column][k];  // each product is exact
      }
    }
  }
  for (int lane = 0; lane < kWarp; ++lane) {
    auto& fragment = *static_cast<MmaOperands*>(operands[lane]);
    const int g = lane / 4, t = lane % 4;
    for (int i = 0; i < 4; ++i) fragment.d[i] = d[i < 2 ? g : g + 8][2 * t + i % 2];
  }
}

}  // namespace

void MultiplyHalf(void* const operands[kWarp]) { Multiply<FloatOfHalf>(operands); }
void MultiplyBfloat16(void* const operands[kWarp]) { Multiply<FloatOfBfloat16>(operands); }

void ShareRows(void* const operands[kWarp]) {
  const void* all[kWarp];
  for (int lane = 0; lane < kWarp; ++lane) {
    all[lane] = static_cast<const MatrixRows*>(operands[lane])->mine;
  }
  // Eight rows are read in one pass if no two of them share one of the 8 groups of 4 banks.
  for (int first = 0; first < kWarp; first += 8) {
    int used[8] = {}, most = 0;
    for (int row = 0; row < 8; ++row) {
      const auto offset = static_cast<const unsigned char*>(all[first + row]) - SharedBytes();
      most = std::max(most, ++used[offset / 16 % 8]);
    }
    AddBankConflicts(most - 1);
  }
  for (int lane = 0; lane < kWarp; ++lane) {
    std::memcpy(static_cast<MatrixRows*>(operands[lane])->all, all, sizeof all);
  }
}

}  // namespace longrope::stand_in
