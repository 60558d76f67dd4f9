#pragma once

#include <cstdint>

namespace longrope {

// The least multiple of `step` that is not below `value`; both positive.
inline constexpr int64_t RoundUp(int64_t value, int64_t step) {
  return (value + step - 1) / step * step;
}

}  // namespace longrope
