// Byte-pair tokenizers, as a description says: added tokens, normalizer, pre-tokenizer, vocabulary.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "eval/text/added_tokens.h"
#include "eval/text/bpe_model.h"
#include "eval/text/normalizer.h"
#include "eval/text/pre_tokenizer.h"
#include "eval/text/tokenizer.h"

namespace longrope {

struct BpeDescription {
  std::vector<AddedToken> raw_tokens;  // found in the text as it is
  std::vector<NormalizerStep> normalizer;
  std::vector<AddedToken> normalized_tokens;  // found, normalized themselves, after the normalizer
  std::vector<PreTokenizerStep> pre_tokenizer;
  BpeVocabulary vocabulary;
  std::vector<int32_t> prefix;  // before each text
  std::string digest;           // over all of this
};

// The ids are those of the `tokenizers` library's encode(). Encode takes time in proportion to the
// text, and beside text and ids one copy of the text where a step changes it. It throws InputError
// for a text that is not UTF-8.
std::unique_ptr<Tokenizer> MakeBpeTokenizer(BpeDescription description);

}  // namespace longrope
