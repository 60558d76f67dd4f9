// float16 by the compiler's or the processor's own conversions, not the project's.
#pragma once

#include <cstdint>
#include <cstring>

#ifdef __clang__
#include <immintrin.h>
#endif

namespace longrope::testing {

#ifdef __clang__  // version 14 lacks _Float16 here, and the library calls of __fp16
__attribute__((target("f16c"))) inline float FloatOfHalf(uint16_t bits) { return _cvtsh_ss(bits); }
__attribute__((target("f16c"))) inline uint16_t HalfOfFloat(float value) {
  return _cvtss_sh(value, _MM_FROUND_TO_NEAREST_INT);
}
#else
inline float FloatOfHalf(uint16_t bits) {
  _Float16 half;
  std::memcpy(&half, &bits, 2);
  return static_cast<float>(half);
}
inline uint16_t HalfOfFloat(float value) {
  const auto half = static_cast<_Float16>(value);
  uint16_t bits;
  std::memcpy(&bits, &half, 2);
  return bits;
}
#endif

}  // namespace longrope::testing
