// Arrays for tests of kernels: hostile numbers, in a type, on the device and back.
#pragma once

#include <cuda_bf16.h>
#include <cuda_fp16.h>
#include <gtest/gtest.h>

#include <cmath>
#include <cstdint>
#include <vector>

#include "kernels/cuda/memory.h"

namespace longrope::testing {

// The number types of kernels, and half a unit in the last place of 1.
template <class T>
inline constexpr double kRounding = 0x1p-24;
template <>
inline constexpr double kRounding<__half> = 0x1p-11;
template <>
inline constexpr double kRounding<__nv_bfloat16> = 0x1p-8;
// What is lost among the smallest numbers, which may be flushed to zero but for those of f16.
template <class T>
inline constexpr double kTiny = 0x1p-126;
template <>
inline constexpr double kTiny<__half> = 0x1p-25;
inline constexpr double kFloatRounding = 0x1p-24;

inline double ToDouble(float value) { return value; }
inline double ToDouble(__half value) { return __half2float(value); }
inline double ToDouble(__nv_bfloat16 value) { return __bfloat162float(value); }

template <class T>
T FromDouble(double value) {
  const auto number = static_cast<float>(value);
  if constexpr (std::is_same_v<T, __half>) return __float2half_rn(number);
  if constexpr (std::is_same_v<T, __nv_bfloat16>) return __float2bfloat16_rn(number);
  if constexpr (std::is_same_v<T, float>) return number;
}

// Uniform in [-1, 1); `outliers`: one in a hundred is `outliers` times as large.
class Numbers {
 public:
  explicit Numbers(uint32_t seed, double outliers = 1) : state_(seed), outliers_(outliers) {}
  double Next() {
    const double value = Draw() * 2 - 1;
    return Draw() < 0.01 ? value * outliers_ : value;
  }
  template <class T>
  std::vector<T> Array(int64_t count) {
    std::vector<T> values;
    for (int64_t i = 0; i < count; ++i) values.push_back(FromDouble<T>(Next()));
    return values;
  }

 private:
  double Draw() {
    state_ = state_ * 1664525u + 1013904223u;
    return static_cast<double>(state_ >> 8) / (1 << 24);
  }
  uint32_t state_;
  double outliers_;
};

// The array on the device, exactly as long.
template <class T>
cuda::DeviceArray<T> OnDevice(const std::vector<T>& values) {
  cuda::DeviceArray<T> array(static_cast<int64_t>(values.size()));
  cuda::Upload(array.get(), values.data(), static_cast<int64_t>(values.size()));
  return array;
}

// Has the stand-in run what is waited for next in another order of its threads, by turns; a GPU has
// its own.
void NextThreadOrder();

// After all work of the stream.
template <class T>
std::vector<T> FromDevice(const cuda::DeviceArray<T>& array, int64_t count,
                          const cuda::Stream& stream) {
  NextThreadOrder();
  stream.Wait();
  std::vector<T> values(static_cast<size_t>(count));
  LONGROPE_CUDA_CHECK(
      cudaMemcpy(values.data(), array.get(), values.size() * sizeof(T), cudaMemcpyDeviceToHost));
  return values;
}

}  // namespace longrope::testing
