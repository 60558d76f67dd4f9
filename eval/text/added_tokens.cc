#include "eval/text/added_tokens.h"

#include "eval/text/unicode.h"
#include "eval/text/utf8.h"

namespace longrope {
namespace {

// Where the white space that ends `text` begins.
size_t TrailingSpace(std::string_view text) {
  size_t start = text.size();
  while (start > 0) {
    size_t at = start - 1;
    while (at > 0 && !StartsCharacter(text[at])) --at;
    size_t end = at;
    if (!IsWhiteSpace(NextCodePoint(text, &end))) break;
    start = at;
  }
  return start;
}

// Where the white space that begins `text` ends.
size_t LeadingSpace(std::string_view text) {
  size_t end = 0;
  while (end < text.size()) {
    size_t at = end;
    if (!IsWhiteSpace(NextCodePoint(text, &at))) break;
    end = at;
  }
  return end;
}

}  // namespace

AddedTokens::AddedTokens(const std::vector<AddedToken>& tokens) : tokens_(tokens) {
  for (size_t i = 0; i < tokens_.size(); ++i) {
    uint32_t node = 0;
    for (const char c : tokens_[i].content) {
      const uint64_t edge = uint64_t{node} << 8 | static_cast<unsigned char>(c);
      const auto [entry, fresh] = next_.try_emplace(edge, static_cast<uint32_t>(token_at_.size()));
      if (fresh) token_at_.push_back(-1);
      node = entry->second;
    }
    token_at_[node] = static_cast<int>(i);
    starts_[static_cast<unsigned char>(tokens_[i].content[0])] = true;
  }
}

int AddedTokens::Longest(std::string_view text) const {
  uint64_t node = 0;
  int longest = -1;
  for (const char c : text) {
    const auto edge = next_.find(node << 8 | static_cast<unsigned char>(c));
    if (edge == next_.end()) break;
    node = edge->second;
    if (token_at_[node] >= 0) longest = token_at_[node];
  }
  return longest;
}

void AddedTokens::Split(std::string_view text, const Visit& visit) const {
  size_t done = 0;
  for (size_t at = 0; at < text.size();) {
    const int found = starts_[static_cast<unsigned char>(text[at])] ? Longest(text.substr(at)) : -1;
    if (found < 0) {
      ++at;
      continue;
    }
    const AddedToken& token = tokens_[found];
    size_t begin = at, end = at + token.content.size();
    at = end;
    if (token.lstrip) begin = done + TrailingSpace(text.substr(done, begin - done));
    if (token.rstrip) end += LeadingSpace(text.substr(end));
    if (begin > done) visit(text.substr(done, begin - done), -1);
    visit(text.substr(begin, end - begin), token.id);
    done = end;
    at = end;
  }
  if (done < text.size()) visit(text.substr(done), -1);
}

}  // namespace longrope
