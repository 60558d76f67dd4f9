// What a document costs a model: the unit that is evaluated, made durable and added up.
#pragma once

#include <cmath>
#include <cstdint>

namespace longrope {

struct Score {
  double nats = 0;     // summed over the scored tokens; not finite where the model failed
  int64_t tokens = 0;  // scored: all but the first, unless an objective leaves some out

  bool operator==(const Score&) const = default;
};

// Perplexity is exp(total nats / total tokens), over documents alike; infinite if nats are not
// finite or there are no tokens, so that it can be ranked.
inline double Perplexity(double nats, int64_t tokens) {
  if (!std::isfinite(nats) || tokens <= 0) return INFINITY;
  return std::exp(nats / static_cast<double>(tokens));
}

}  // namespace longrope
