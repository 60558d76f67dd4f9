#include "kernels/dtype.h"

#include <gtest/gtest.h>

#include <bit>
#include <cmath>

#include "tests/support/half.h"

namespace longrope {
namespace {

bool SameNumber(float a, float b) {
  if (std::isnan(a) || std::isnan(b)) return std::isnan(a) && std::isnan(b);
  return std::bit_cast<uint32_t>(a) == std::bit_cast<uint32_t>(b);
}

TEST(DType, EveryFloat16IsWhatTheCompilerSays) {
  for (uint32_t bits = 0; bits < 65536; ++bits) {
    const auto half = static_cast<uint16_t>(bits);
    ASSERT_TRUE(SameNumber(FloatFromF16(half), testing::FloatOfHalf(half))) << bits;
  }
}

TEST(DType, EveryBfloat16IsSignExponentAndSevenBits) {
  for (uint32_t bits = 0; bits < 65536; ++bits) {
    const int exponent = static_cast<int>(bits >> 7 & 255);
    const double fraction = static_cast<double>(bits & 127) / 128;
    double value =
        exponent == 0 ? std::ldexp(fraction, -126) : std::ldexp(1 + fraction, exponent - 127);
    if (exponent == 255) value = fraction == 0 ? INFINITY : NAN;
    if (bits >> 15) value = -value;
    ASSERT_TRUE(SameNumber(FloatFromBf16(static_cast<uint16_t>(bits)), static_cast<float>(value)))
        << bits;
  }
}

TEST(DType, LoadsFromUnalignedPlaces) {
  std::byte bytes[16] = {};
  const float number = 3.25f;
  std::memcpy(bytes + 5, &number, 4);
  EXPECT_EQ(LoadFloat(bytes + 1, DType::kF32, 1), number);
  const uint16_t half = 0x3c00;
  std::memcpy(bytes + 3, &half, 2);
  EXPECT_EQ(LoadFloat(bytes + 1, DType::kF16, 1), 1.0f);
}

}  // namespace
}  // namespace longrope
