// Tokens that are found in a text as they are, before anything else happens to it.
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

namespace longrope {

struct AddedToken {
  std::string content;  // not empty
  int32_t id = 0;
  bool lstrip = false;  // takes the white space before it, too
  bool rstrip = false;  // and after it
};

class AddedTokens {
 public:
  explicit AddedTokens(const std::vector<AddedToken>& tokens);

  // A stretch of a text: text between tokens (id < 0, not empty), or a token.
  using Visit = std::function<void(std::string_view stretch, int32_t id)>;
  // Cuts valid UTF-8 at the tokens: the leftmost first, of those that begin together the longest.
  void Split(std::string_view text, const Visit& visit) const;

 private:
  // The longest token at the start of `text`, or -1.
  int Longest(std::string_view text) const;

  std::vector<AddedToken> tokens_;
  bool starts_[256] = {};                        // some token begins with the byte
  std::unordered_map<uint64_t, uint32_t> next_;  // trie: node << 8 | byte -> node
  std::vector<int> token_at_{-1};                // of each node
};

}  // namespace longrope
