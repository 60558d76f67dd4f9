#include "eval/text/bpe_model.h"

#include <array>
#include <cstdio>
#include <optional>

#include "eval/text/unicode.h"

namespace longrope {
namespace {

constexpr uint32_t kCodePoints = 0x110000;

// What a token of GPT-2's alphabet stands for; nothing if it has other letters.
std::optional<std::string> BytesOf(const std::string& token,
                                   const std::array<int, 0x144>& byte_of) {
  std::string bytes;
  for (size_t at = 0; at < token.size();) {
    const uint32_t letter = NextCodePoint(token, &at);
    if (letter >= byte_of.size() || byte_of[letter] < 0) return std::nullopt;
    bytes += static_cast<char>(byte_of[letter]);
  }
  return bytes;
}

}  // namespace

uint32_t ByteLetter(unsigned char byte) {
  if (byte <= 0x20) return 0x100u + byte;
  if (byte < 0x7F) return byte;
  if (byte <= 0xA0) return 0x100u + 33 + (byte - 0x7Fu);
  return byte == 0xAD ? 0x143u : byte;
}

BpeModel::BpeModel(BpeVocabulary vocabulary)
    : vocabulary_(std::move(vocabulary)), bytes_(256, -1), merges_(vocabulary_.merges) {
  const auto find = [&](const std::string& token) {
    const auto found = vocabulary_.ids.find(token);
    return found == vocabulary_.ids.end() ? -1 : found->second;
  };
  for (int byte = 0; byte < 256; ++byte) {
    char name[8];
    std::snprintf(name, sizeof name, "<0x%02X>", static_cast<unsigned>(byte));
    bytes_[byte] = find(name);
  }
  std::array<int, 0x144> byte_of;
  byte_of.fill(-1);
  if (vocabulary_.byte_level) {
    characters_.assign(256, -1);
    for (int byte = 0; byte < 256; ++byte) {
      const uint32_t letter = ByteLetter(static_cast<unsigned char>(byte));
      byte_of[letter] = byte;
      characters_[byte] = find(Utf8(letter));
    }
  } else {
    characters_.assign(kCodePoints, -1);
    for (const auto& [token, id] : vocabulary_.ids) {
      size_t at = 0;
      const uint32_t character = token.empty() ? 0 : NextCodePoint(token, &at);
      if (at > 0 && at == token.size()) characters_[character] = id;
    }
  }
  if (vocabulary_.ignore_merges) {
    texts_.reserve(vocabulary_.ids.size());
    for (const auto& [token, id] : vocabulary_.ids) {
      auto text = vocabulary_.byte_level ? BytesOf(token, byte_of) : std::optional(token);
      if (!text || text->empty()) continue;
      texts_.push_back(std::move(*text));
      words_.emplace(texts_.back(), id);
    }
  }
  // All that is needed of them is in tables now; assigning {} would keep their memory.
  vocabulary_.ids = std::unordered_map<std::string, int32_t>();
  vocabulary_.merges = std::vector<Merge>();
}

void BpeModel::Encoder::Unknown() {
  if (pending_) stream_.Push(model_.vocabulary_.unk);
  pending_ = false;
}

// In the order in which the `tokenizers` library adds symbols: bytes of one character before an
// unknown one that is still open, which happens only where some byte tokens are missing.
void BpeModel::Encoder::Add(std::string_view word) {
  const BpeVocabulary& vocabulary = model_.vocabulary_;
  if (vocabulary.ignore_merges) {
    const auto whole = model_.words_.find(word);
    if (whole != model_.words_.end()) {
      tokens_.push_back(whole->second);
      return;
    }
  }
  for (size_t at = 0; at < word.size();) {
    const size_t start = at;
    const uint32_t character =
        vocabulary.byte_level ? static_cast<unsigned char>(word[at++]) : NextCodePoint(word, &at);
    if (const int32_t id = model_.characters_[character]; id >= 0) {
      Unknown();
      stream_.Push(id);
      continue;
    }
    const auto byte_token = [&](size_t i) {
      return model_.bytes_[static_cast<unsigned char>(word[i])];
    };
    bool as_bytes = vocabulary.byte_fallback;
    for (size_t i = start; i < at; ++i) as_bytes = as_bytes && byte_token(i) >= 0;
    if (as_bytes) {
      for (size_t i = start; i < at; ++i) stream_.Push(byte_token(i));
    } else if (vocabulary.unk >= 0) {
      if (!vocabulary.fuse_unk) Unknown();
      pending_ = true;
    }
  }
  Unknown();
  stream_.End();
}

}  // namespace longrope
