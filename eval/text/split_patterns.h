// How byte-level tokenizers cut texts into words, by the names that GGUF files know them under
// (tokenizer.ggml.pre). The patterns are those of the models' own tokenizer.json files.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "eval/text/normalizer.h"
#include "eval/text/pre_tokenizer.h"

namespace longrope {

// GPT-2's pattern, which tokenizer.json's ByteLevel stands for.
extern const char kGpt2Pattern[];

// Each match of `pattern` a word, and what stands between them.
SplitStep IsolatedMatches(const std::string& pattern, const std::string& where);

struct NamedPreTokenizer {
  std::vector<NormalizerStep> normalizer;
  std::vector<PreTokenizerStep> steps;
  bool ignore_merges = false;
  bool add_bos = false;  // where the file does not say
};
// Throws InputError "<where>: ..." for a name that is not known.
NamedPreTokenizer PreTokenizerOf(std::string_view name, const std::string& where);

}  // namespace longrope
