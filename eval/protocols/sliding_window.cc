#include "eval/protocols/sliding_window.h"

#include <algorithm>
#include <stdexcept>
#include <string>

#include "eval/errors.h"

namespace longrope {

void CheckSlidingWindow(const SlidingWindow& options) {
  if (options.window < 2) {
    throw InputError("a window of " + std::to_string(options.window) +
                     " tokens: allowed: at least 2");
  }
  if (options.stride < 1 || options.stride > options.window) {
    throw InputError("a stride of " + std::to_string(options.stride) +
                     " tokens: allowed: 1 to the window's " + std::to_string(options.window));
  }
}

std::vector<TextWindow> WindowsOver(int64_t tokens, const SlidingWindow& options) {
  CheckSlidingWindow(options);
  if (tokens < 2) throw std::invalid_argument("a document needs at least two tokens");
  std::vector<TextWindow> windows;
  int64_t scored = 0;  // tokens that windows so far have dealt with
  for (int64_t begin = 0; scored < tokens; begin += options.stride) {
    const int64_t end = std::min(begin + options.window, tokens);
    const int64_t first = std::max(scored, begin + 1);
    if (first < end) windows.push_back({begin, first, end});
    scored = end;
  }
  return windows;
}

std::optional<Score> ScoreWindow(std::span<const int32_t> document, const TextWindow& window,
                                 const ScoreOf& score) {
  const auto count = static_cast<size_t>(window.end - window.begin);
  std::vector<uint8_t> scored(count);
  std::fill(scored.begin() + (window.first - window.begin), scored.end(), uint8_t{1});
  return score(document.subspan(static_cast<size_t>(window.begin), count), scored);
}

std::optional<Score> ScoreInWindows(std::span<const int32_t> document, const SlidingWindow& options,
                                    const ScoreOf& score) {
  Score total;
  for (const TextWindow& window : WindowsOver(static_cast<int64_t>(document.size()), options)) {
    const auto part = ScoreWindow(document, window, score);
    if (!part) return std::nullopt;
    total.nats += part->nats;
    total.tokens += part->tokens;
  }
  return total;
}

}  // namespace longrope
