// What is scored in one pass.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace longrope {

// A document of exactly the tokens that are scored in one pass.
struct Document {
  std::string title;   // of its book, or of the books that were joined, " + " between
  std::string digest;  // SHA-256 of its ids, decimal, one a line: equal to `tokenize | sha256sum`
  int64_t offset = 0;  // ids of its (first) book left out before it; what a tokenizer puts before a
                       // text is there all the same
  std::vector<int32_t> tokens;
  std::vector<uint8_t> scored = {};  // 1 for each token whose loss counts; empty: all
  std::string objective = {};        // what says which they are; one line
};

// The digest of Document.
std::string TokensDigest(const std::vector<int32_t>& tokens);

}  // namespace longrope
