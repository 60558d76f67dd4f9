// Comparisons that accept only what is close: a NaN on either side fails.
#pragma once

#include <gtest/gtest.h>

#include <cmath>

namespace longrope::testing {

// |a - b| <= tolerance.
inline ::testing::AssertionResult Close(double a, double b, double tolerance) {
  const double off = std::abs(a - b);
  if (off <= tolerance) return ::testing::AssertionSuccess();
  return ::testing::AssertionFailure()
         << a << " and " << b << " differ by " << off << ", allowed " << tolerance;
}

// |a - b| <= tolerance * |b|.
inline ::testing::AssertionResult CloseRelative(double a, double b, double tolerance) {
  return Close(a, b, tolerance * std::abs(b));
}

}  // namespace longrope::testing
