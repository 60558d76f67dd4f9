#include "search/passkey_draws.h"

#include "search/rng.h"

namespace longrope {

std::vector<PasskeyDraw> DrawPasskeys(uint64_t seed, int64_t length, int tries) {
  std::vector<PasskeyDraw> draws;
  for (int i = 0; i < tries; ++i) {
    Rng rng(seed, "passkey", static_cast<uint32_t>(length), static_cast<uint32_t>(i));
    PasskeyDraw draw;
    draw.key = static_cast<int32_t>(10000 + rng.Below(90000));
    draw.place = rng.Unit();
    draws.push_back(draw);
  }
  return draws;
}

}  // namespace longrope
