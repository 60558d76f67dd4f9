// Text to token ids.
#pragma once

#include <cstdint>
#include <filesystem>
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
  // What is put before a text: {BOS} or nothing.
  virtual std::vector<int32_t> Prefix() const = 0;
  // SHA-256 over all that Encode depends on.
  virtual const std::string& Digest() const = 0;
};

// The tokenizer of a Hugging Face folder. tokenizer.model (SentencePiece) where there is one: BOS
// unless tokenizer_config.json says `add_bos_token: false`. Else tokenizer.json (byte-pair): BOS as
// its own template says, unless tokenizer_config.json has an `add_bos_token`. EOS is never added.
// Or of a GGUF file, out of its own vocabulary (gguf_tokenizer.h).
// Throws InputError if files are missing or damaged, or if an id is not below `vocab`.
std::unique_ptr<Tokenizer> OpenTokenizer(const std::filesystem::path& folder, int64_t vocab);

// Is there one that OpenTokenizer would open?
bool HasTokenizer(const std::filesystem::path& model);

}  // namespace longrope
