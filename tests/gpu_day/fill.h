// Random numbers on the device, for arrays too long to draw on the host.
#pragma once

#include <algorithm>

#include "tests/cuda/device_data.h"

namespace longrope::gpu_day {

// Uniform in [-scale, scale): a run of a prime number of draws, again and again.
inline void FillRandom(__nv_bfloat16* array, int64_t count, uint32_t seed, double scale = 1) {
  constexpr int64_t kRun = 1'048'583;
  testing::Numbers numbers(seed);
  std::vector<__nv_bfloat16> run;
  for (int64_t i = 0; i < std::min(count, kRun); ++i) {
    run.push_back(testing::FromDouble<__nv_bfloat16>(scale * numbers.Next()));
  }
  for (int64_t at = 0; at < count; at += kRun) {
    cuda::Upload(array + at, run.data(), std::min(kRun, count - at));
  }
}

}  // namespace longrope::gpu_day
