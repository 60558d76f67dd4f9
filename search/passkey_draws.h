// The random numbers of passkey tries.
#pragma once

#include <cstdint>
#include <vector>

#include "eval/protocols/passkey.h"

namespace longrope {

// The first `tries` draws for prompts of `length` tokens (below 2^32): draw i is a function of
// (seed, length, i) alone, so that more tries or other lengths leave it as it is.
std::vector<PasskeyDraw> DrawPasskeys(uint64_t seed, int64_t length, int tries);

}  // namespace longrope
