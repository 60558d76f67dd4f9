// Perplexity in a sliding window: how the LongRoPE paper evaluates (arXiv 2402.13753, section 4:
// Proof-pile and PG19 with a stride of 256, Books3 with 256k; windows of the context length that a
// column of its tables names). The released code stops after ten windows and averages their means;
// here every window counts, and every token once.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <span>
#include <vector>

#include "eval/score.h"

namespace longrope {

struct SlidingWindow {
  int64_t window = 0;    // tokens of one forward pass, at least 2; its positions begin at 0
  int64_t stride = 256;  // tokens from a window's begin to the next one's, in [1, window]
};

// Throws InputError for values that are not allowed.
void CheckSlidingWindow(const SlidingWindow& options);

// One forward pass, as positions in the document: reads [begin, end), scores [first, end).
struct TextWindow {
  int64_t begin = 0, first = 0, end = 0;

  bool operator==(const TextWindow&) const = default;
};

// The passes over a document of `tokens` tokens (at least 2). They begin at 0, stride, 2 * stride,
// ... and read `window` tokens; the last one is the first to reach the document's end and ends
// there, shorter than the others if need be. Each scores the tokens that no earlier one scored: the
// first window all but its first token, later ones their last `stride`, before which there are at
// least window - stride. A token that begins its window has nothing before it and is not scored:
// with stride = window that is one a window, and a last window of that token alone is left out.
// What a tokenizer puts before a text is in the first window only, as it is in the document.
// Throws InputError as CheckSlidingWindow, std::invalid_argument for fewer than 2 tokens.
std::vector<TextWindow> WindowsOver(int64_t tokens, const SlidingWindow& options);

// Nats and number of the tokens for which `scored` holds 1, each given those before it in `tokens`;
// nullopt if stopped: a Scorer's ScoreTokens under the factors for texts of `window` tokens.
using ScoreOf = std::function<std::optional<Score>(std::span<const int32_t> tokens,
                                                   std::span<const uint8_t> scored)>;

// What one pass adds to its document's score; nullopt if stopped. A unit of work of its own: the
// sum over WindowsOver, in any order but for rounding, is ScoreInWindows.
std::optional<Score> ScoreWindow(std::span<const int32_t> document, const TextWindow& window,
                                 const ScoreOf& score);

// Total over the document's windows, in their order; nullopt if stopped. Perplexity is that of
// score.h, over the windows of all documents alike. Throws as WindowsOver.
std::optional<Score> ScoreInWindows(std::span<const int32_t> document, const SlidingWindow& options,
                                    const ScoreOf& score);

}  // namespace longrope
