// Tokens that need a long context: the measure of LongPPL (Fang et al., "What is Wrong with
// Perplexity for Long-context Language Modeling?", arXiv 2410.23771).
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <span>
#include <vector>

namespace longrope {

struct KeyTokenRule {
  double gain = 2;    // a key token's loss falls by more than so many nats under the long context
  double floor = -2;  // and its ln p is then above this
};

// Nats of tokens[1] ... as forward.h's TokenNats; nullopt if stopped.
using NatsOf = std::function<std::optional<std::vector<double>>(std::span<const int32_t> tokens)>;

// 1 for each token at a position of `window` and beyond that is a key token. The long context is
// all that stands before a token; the short one the prefix and between window / 2 and window - 1 of
// the ids before it: windows of `window` tokens, prefix included, half of each scored. nullopt if
// stopped. `tokens` begins with the prefix.
std::optional<std::vector<uint8_t>> KeyTokens(std::span<const int32_t> tokens,
                                              std::span<const int32_t> prefix, int64_t window,
                                              const KeyTokenRule& rule, const NatsOf& long_context,
                                              const NatsOf& short_context);

// 1 for each token at a position of `window` and beyond.
std::vector<uint8_t> TailTokens(int64_t tokens, int64_t window);

}  // namespace longrope
