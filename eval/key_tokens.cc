#include "eval/key_tokens.h"

#include <algorithm>

namespace longrope {

std::optional<std::vector<uint8_t>> KeyTokens(std::span<const int32_t> tokens,
                                              std::span<const int32_t> prefix, int64_t window,
                                              const KeyTokenRule& rule, const NatsOf& long_context,
                                              const NatsOf& short_context) {
  const auto nats = long_context(tokens);
  if (!nats) return std::nullopt;
  const auto count = static_cast<int64_t>(tokens.size());
  const auto ids = window - static_cast<int64_t>(prefix.size());  // of the text, in a window
  const int64_t step = std::max<int64_t>(ids / 2, 1);
  std::vector<uint8_t> key(tokens.size());
  for (int64_t begin = window; begin < count; begin += step) {
    const int64_t end = std::min(begin + step, count), first = end - ids;
    std::vector<int32_t> text(prefix.begin(), prefix.end());
    text.insert(text.end(), tokens.begin() + first, tokens.begin() + end);
    const auto in_window = short_context(text);
    if (!in_window) return std::nullopt;
    for (int64_t i = begin; i < end; ++i) {
      const double loss = (*nats)[static_cast<size_t>(i - 1)];
      const double without = (*in_window)[static_cast<size_t>(window - (end - i) - 1)];
      key[static_cast<size_t>(i)] = without - loss > rule.gain && -loss > rule.floor;
    }
  }
  return key;
}

std::vector<uint8_t> TailTokens(int64_t tokens, int64_t window) {
  std::vector<uint8_t> tail(static_cast<size_t>(tokens));
  std::fill(tail.begin() + std::min(window, tokens), tail.end(), uint8_t{1});
  return tail;
}

}  // namespace longrope
