// Factors to tables: where factors enter the model.
#pragma once

#include <cstdint>

#include "eval/rope_factors.h"
#include "kernels/rope_table.h"

namespace longrope {

// Angle of pair `pair` at `position`, in radians, in double from the float32 lambda.
double RopeAngle(const RopeFactors& factors, const RopeShape& shape, int pair, int64_t position);

// Table of positions [0, positions): angles, cos and sin in double (at position
// 2 000 000 a float32 angle is off by 0.1 rad), stored as float32. Built on `threads` threads; the
// bits do not depend on their number. Throws std::invalid_argument if lambda has not head_dim / 2
// elements.
RopeTable BuildRopeTable(const RopeFactors& factors, const RopeShape& shape, int64_t positions,
                         int threads);

// Bytes of such a table.
int64_t RopeTableBytes(const RopeShape& shape, int64_t positions);

}  // namespace longrope
