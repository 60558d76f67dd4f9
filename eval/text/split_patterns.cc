#include "eval/text/split_patterns.h"

#include "eval/errors.h"

namespace longrope {
namespace {

constexpr char kLlama3Pattern[] =
    R"((?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|)"
    R"(\s*[\r\n]+|\s+(?!\S)|\s+)";
constexpr char kQwen2Pattern[] =  // LLaMA-3's, but that each digit is a word
    R"((?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|)"
    R"(\s*[\r\n]+|\s+(?!\S)|\s+)";

}  // namespace

const char kGpt2Pattern[] =
    R"('s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+)";

SplitStep IsolatedMatches(const std::string& pattern, const std::string& where) {
  return {.regex = std::make_shared<Regex>(pattern, where)};
}

NamedPreTokenizer PreTokenizerOf(std::string_view name, const std::string& where) {
  NamedPreTokenizer result;
  const auto split = [&](const char* pattern) {
    result.steps.push_back(IsolatedMatches(pattern, where));
  };
  if (name == "gpt-2" || name == "gpt2") {
    split(kGpt2Pattern);
  } else if (name == "llama-bpe" || name == "llama3" || name == "llama-v3") {
    split(kLlama3Pattern);
    result.ignore_merges = true;
    result.add_bos = true;
  } else if (name == "smollm") {
    split(R"(\p{N})");
    split(kGpt2Pattern);
  } else if (name == "qwen2") {
    split(kQwen2Pattern);
    result.normalizer.emplace_back(NormalForm::kNfc);
  } else if (name == "default") {
    split(R"([\p{P}\$\+<=>\^~\|]+)");
    split(kGpt2Pattern);
    split(R"(\p{N}+)");
    split("[0-9][0-9][0-9]");
  } else {
    throw InputError(where + ": '" + std::string(name) +
                     "'; allowed: default, gpt-2, llama-bpe, llama3, llama-v3, smollm, qwen2");
  }
  return result;
}

}  // namespace longrope
