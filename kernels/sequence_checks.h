// What every engine's Sequence asks of its callers, as engine.h says. Each throws
// std::invalid_argument.
#pragma once

#include <cstdint>
#include <span>

#include "kernels/engine.h"
#include "kernels/rope_table.h"
#include "kernels/weights.h"

namespace longrope {

// Of Open: there are tokens, and rotations for all of them.
void CheckTokens(std::span<const int32_t> tokens, const RopeTable& rope, const ModelShape& shape);

// Of Extend, Advance and Score: whole blocks of `block` rows, the last one of the sequence may be
// shorter.
void CheckRows(Rows rows, int64_t block, int64_t tokens);

// Of Score: one element a row each, `likeliest` may be empty.
void CheckScores(Rows rows, std::span<const int32_t> targets, std::span<const double> nats,
                 std::span<const uint8_t> likeliest);

// Is none of the targets scored? Then the results are set, to 0; `likeliest` may be null.
bool FilledUnscored(std::span<const int32_t> targets, std::span<double> nats, uint8_t* likeliest);

}  // namespace longrope
