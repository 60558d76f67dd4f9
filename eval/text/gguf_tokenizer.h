// The vocabulary inside a GGUF file.
#pragma once

#include <cstdint>

#include "eval/model/gguf_values.h"
#include "eval/text/bpe_tokenizer.h"

namespace longrope {

// tokenizer.ggml.model "gpt2": byte-level byte-pair from .tokens, .merges and .pre; ids are those
// of the model's tokenizer.json (control and user-defined tokens are found in a text; NFC for
// qwen2). "llama": SentencePiece from .tokens, .scores and .token_type; ids are SentencePiece's
// (control tokens are not found in a text, user-defined ones are; a space before the text unless
// .add_space_prefix is false). A piece that has a character which is no piece itself is never made.
// BOS as .add_bos_token says; EOS is never added. Throws InputError with file and key for anything
// else, and for more than `vocab` tokens.
BpeDescription ReadGgufTokenizer(const GgufValues& values, int64_t vocab);

}  // namespace longrope
