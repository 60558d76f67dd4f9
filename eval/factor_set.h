// Factors by length: what a factor file, or a model's own config, says about a rotation.
#pragma once

#include <cstdint>
#include <vector>

#include "eval/rope_factors.h"

namespace longrope {

// Factors that hold for texts of up to `length` tokens.
struct FactorBucket {
  int64_t length = 0;
  RopeFactors factors;

  bool operator==(const FactorBucket&) const = default;
};

// Buckets by increasing length, at least one; the last one holds for every longer text too.
struct FactorSet {
  std::vector<FactorBucket> buckets;

  const RopeFactors& For(int64_t tokens) const {
    for (const FactorBucket& bucket : buckets) {
      if (tokens <= bucket.length) return bucket.factors;
    }
    return buckets.back().factors;
  }
  bool operator==(const FactorSet&) const = default;
};

}  // namespace longrope
