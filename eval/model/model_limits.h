// What any model may say of itself, whatever its files are.
#pragma once

#include <cfloat>
#include <cstdint>

namespace longrope {

inline constexpr int64_t kMaxSize = 1 << 24;  // of a width or a vocabulary, in elements
inline constexpr int64_t kMinLength = 2;      // of a text, in tokens: ln L divides
inline constexpr int64_t kMaxLength = int64_t{1} << 32;

inline constexpr int64_t kMinHeadDim = 2;
inline constexpr int64_t kMaxHeadDim = 4096;
inline constexpr const char* kHeadDimsAllowed = "even, up to 4096";
constexpr bool IsHeadDim(int64_t head_dim) {
  return head_dim >= kMinHeadDim && head_dim <= kMaxHeadDim && head_dim % 2 == 0;
}

// Without an epsilon a row of zeros, as padding is, has no norm; and an engine holds it in float32.
constexpr bool IsNormEpsilon(double epsilon) { return epsilon >= FLT_MIN && epsilon < 1; }

// A lambda: not even in float32 may one be 0 or infinite.
constexpr bool IsFactor(double lambda) { return lambda >= FLT_MIN && lambda <= FLT_MAX; }

}  // namespace longrope
