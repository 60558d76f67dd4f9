// How many tokens a text may become, told by its length alone.
#pragma once

#include <cstdint>
#include <string_view>

#include "eval/text/bpe_tokenizer.h"

namespace longrope {

// Tokens more than those of the text's bytes: what a tokenizer puts before it.
inline constexpr int64_t kTokensAround = 64;

// Tokens that a byte of text becomes at most: 1 unless a step makes texts longer.
int64_t MostTokensPerByte(const BpeDescription& description);

// The same of a SentencePiece model (its bytes, which the library has read). 0: there is no
// telling, since the normalizer's table may make anything of a text. `mark_is_piece`: a space is
// one token.
int64_t MostTokensPerByte(std::string_view sentence_piece_model, bool mark_is_piece);

}  // namespace longrope
