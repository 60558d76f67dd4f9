// Text to token ids.
#pragma once

#include <cstdint>
#include <filesystem>
#include <limits>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

namespace longrope {

class Tokenizer {
 public:
  virtual ~Tokenizer() = default;
  // Ids of a whole text, BOS first where the tokenizer adds one.
  virtual std::vector<int32_t> Encode(std::string_view text) const = 0;
  // No text of so many bytes has more, as far as can be told.
  virtual int64_t MostTokens(int64_t) const { return std::numeric_limits<int64_t>::max(); }
  // What is put before a text: {BOS} or nothing.
  virtual std::vector<int32_t> Prefix() const = 0;
  // SHA-256 over all that Encode depends on.
  virtual const std::string& Digest() const = 0;
};

// The tokenizer of a model. Of a Hugging Face folder: tokenizer.model (SentencePiece) where there
// is one: BOS unless tokenizer_config.json says `add_bos_token: false`. Else tokenizer.json
// (byte-pair): BOS as its own template says, unless tokenizer_config.json has an `add_bos_token`.
// EOS is never added. Of a GGUF file: out of its own vocabulary (gguf_tokenizer.h). Throws
// InputError if files are missing or damaged, or if an id is not below `vocab`.
std::unique_ptr<Tokenizer> OpenTokenizer(const std::filesystem::path& folder, int64_t vocab);

// Is there one that OpenTokenizer would open?
bool HasTokenizer(const std::filesystem::path& model);

}  // namespace longrope
