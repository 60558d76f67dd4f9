// A tokenizer whose ids can be counted by hand.
#pragma once

#include <string>
#include <vector>

#include "eval/text/tokenizer.h"

namespace longrope::testing {

// Every byte a token, 1 in front: lengths and joins can be counted by hand.
class ByteTokenizer final : public Tokenizer {
 public:
  explicit ByteTokenizer(bool bos = true) : bos_(bos) {}
  std::vector<int32_t> Encode(std::string_view text) const override {
    std::vector<int32_t> ids = Prefix();
    for (char c : text) ids.push_back(static_cast<unsigned char>(c));
    return ids;
  }
  int64_t MostTokens(int64_t bytes) const override { return bytes + 1; }
  std::vector<int32_t> Prefix() const override {
    return bos_ ? std::vector<int32_t>{1} : std::vector<int32_t>{};
  }
  const std::string& Digest() const override { return digest_; }

 private:
  bool bos_;
  std::string digest_ = "bytes";
};

}  // namespace longrope::testing
