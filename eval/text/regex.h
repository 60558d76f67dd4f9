// Regular expressions as tokenizer.json writes them (Oniguruma's Ruby syntax), run by PCRE2.
#pragma once

#include <cstddef>
#include <memory>
#include <string>
#include <string_view>

namespace longrope {

// What Oniguruma means by a pattern, in PCRE2's words: \s, \d and \w are Unicode's, ^ and $ stand
// at every line. Throws InputError "<where>: ..." for what the two read differently and no known
// pattern uses: nested and intersected classes, \W in a class, \h, \R, \X, {,n} and {n,m}+.
std::string TranslatePattern(const std::string& pattern, const std::string& where);

class Regex {
 public:
  // `where` names file and key in errors. Throws InputError if PCRE2 cannot compile the pattern.
  Regex(const std::string& pattern, const std::string& where);
  ~Regex();

  struct Span {
    size_t begin, end;
  };
  // The first match that begins at `from` or later; false if there is none. `text` is valid UTF-8
  // and `from` the start of a character. Safe from several threads. Throws InputError where a match
  // takes more than 10^8 steps or 256 MB.
  bool Find(std::string_view text, size_t from, Span* match) const;

 private:
  struct Compiled;
  std::unique_ptr<const Compiled> compiled_;
  std::string where_;
};

}  // namespace longrope
