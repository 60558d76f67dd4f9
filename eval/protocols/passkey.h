// Passkey retrieval: is a number that stands somewhere in a long text found again at its end? The
// task of Mohtashami and Jaggi (arXiv 2305.16300) with the prompt of the LongRoPE paper's appendix
// (arXiv 2402.13753). What is random comes in as numbers, so that a try is a function of them.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "eval/forward.h"
#include "eval/text/tokenizer.h"

namespace longrope {

// What is random in one try.
struct PasskeyDraw {
  int32_t key = 10000;  // five digits: 10000 ... 99999
  double place = 0;     // in [0, 1), uniform: where the key stands
};

// The prompt with the key after `before` repeats of the filler and `after` more behind it. It ends
// in "The pass key is"; the answer is a space and the key.
std::string PasskeyText(int64_t before, int64_t after, int32_t key);

struct PasskeyPrompt {
  int64_t length = 0;           // tokens that were allowed
  int32_t key = 0;              // the number hidden
  double depth = 0;             // share of the filler before the key, 0 ... 1; 0 without filler
  std::vector<int32_t> tokens;  // of prompt and answer, BOS first where the tokenizer adds one
  int64_t answer = 0;           // index of the answer's first token
};

// The longest prompt that takes, with its answer, at most `length` tokens: of n repeats of the
// filler, the most that fit, floor(place * (n + 1)) stand before the key. The answer's ids are
// those that the tokenizer really makes: prompt and answer are tokenized as one text, and the
// answer is what lies beyond the ids that it shares with the prompt alone (LLaMA's: a lone space,
// then digit by digit). Throws InputError if not even a prompt without filler fits or no id of the
// answer is left, std::invalid_argument for a draw out of range. Takes a few tokenizations of the
// whole text.
PasskeyPrompt MakePasskeyPrompt(const Tokenizer& tokenizer, int64_t length,
                                const PasskeyDraw& draw);

struct PasskeyResult {
  int64_t length = 0;  // tokens that were allowed
  int64_t tokens = 0;  // of prompt and answer
  double depth = 0;    // of the key, as above
  int32_t key = 0;
  bool right = false;  // greedy decoding would write the whole answer
  double nats = 0;     // of the answer, all its tokens; not finite where the model failed

  bool operator==(const PasskeyResult&) const = default;
};

// Scores of tokens[1] ..., of those for which `scored` holds 1; nullopt if stopped: a Scorer's
// ScoreEachToken under the factors for texts of `length` tokens.
using ScoreEachOf = std::function<std::optional<TokenScores>(std::span<const int32_t> tokens,
                                                             std::span<const uint8_t> scored)>;

// One pass over prompt and answer. Each token of the answer is asked for given the true ones before
// it, so all are the likeliest exactly if decoding token by token would write them. nullopt if
// stopped.
std::optional<PasskeyResult> TryPasskey(const PasskeyPrompt& prompt, const ScoreEachOf& score);

}  // namespace longrope
