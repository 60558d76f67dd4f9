// How many passkeys were found.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "eval/protocols/passkey.h"

namespace longrope {

struct PasskeyAccuracy {
  int64_t tries = 0, right = 0;

  // right / tries, 0 ... 1; NaN without tries.
  double Share() const { return static_cast<double>(right) / static_cast<double>(tries); }
  // "3/5", "-" without tries.
  std::string Text() const;
  bool operator==(const PasskeyAccuracy&) const = default;
};

PasskeyAccuracy AccuracyOf(std::span<const PasskeyResult> results);

// `bins` parts of equal width: part b holds depths in [b / bins, (b + 1) / bins), the last one 1
// too.
std::vector<PasskeyAccuracy> AccuracyByDepth(std::span<const PasskeyResult> results, int bins);

}  // namespace longrope
