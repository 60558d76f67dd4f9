#include <string_view>

#include "eval/errors.h"
#include "eval/text/regex.h"

namespace longrope {
namespace {

constexpr char kWord[] = "\\p{Alphabetic}\\p{M}\\p{Nd}\\p{Pc}";

class Translator {
 public:
  Translator(std::string_view pattern, const std::string& where)
      : pattern_(pattern), where_(where) {}

  std::string Run() {
    while (at_ < pattern_.size()) {
      if (pattern_[at_] == '\\') {
        Escape();
      } else if (in_class_) {
        InClass();
      } else {
        Outside();
      }
    }
    return std::move(out_);
  }

 private:
  [[noreturn]] void Refuse(const std::string& what) const {
    throw InputError(where_ + ": " + what + " at byte " + std::to_string(at_) +
                     " of the pattern is not supported");
  }
  bool Next(std::string_view text) const { return pattern_.substr(at_).starts_with(text); }
  void Copy(size_t count) {
    out_ += pattern_.substr(at_, count);
    at_ += count;
  }
  void Put(const std::string& text) {
    out_ += text;
    at_ += 2;
  }

  void Escape() {
    if (at_ + 1 == pattern_.size()) Refuse("a lone backslash");
    const char c = pattern_[at_ + 1];
    switch (c) {
      case 's':
        return Put("\\p{WSpace}");
      case 'S':
        return Put("\\P{WSpace}");
      case 'd':
        return Put("\\p{Nd}");
      case 'D':
        return Put("\\P{Nd}");
      case 'w':
        return Put(in_class_ ? kWord : std::string("[") + kWord + "]");
      case 'W':
        if (in_class_) Refuse("\\W in a class");
        return Put(std::string("[^") + kWord + "]");
      case 'p':
      case 'P':
      case 'x':
        return Braced();
      case 'A':
      case 'z':
      case 'r':
      case 'n':
      case 't':
      case 'f':
        return Copy(2);
      case 'v':
        return Put("\\x0b");  // in PCRE2 any vertical space
      case 'u':
        return CodePoint();
      default:
        // Other letters and digits mean different things to the two.
        if ((c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z')) {
          Refuse(std::string("\\") + c);
        }
        return Copy(2);
    }
  }

  void Braced() {  // \p{Name}, \x{HHHH} or \xHH
    const size_t end =
        pattern_.substr(at_ + 2).starts_with('{') ? pattern_.find('}', at_) : at_ + 1;
    if (end == std::string_view::npos) Refuse("an open brace");
    Copy(end + 1 - at_);
  }

  void CodePoint() {  // \uHHHH
    const std::string_view digits = pattern_.substr(at_ + 2, 4);
    if (digits.size() < 4 ||
        digits.find_first_not_of("0123456789abcdefABCDEF") != std::string_view::npos) {
      Refuse("\\u without four digits");
    }
    out_ += "\\x{" + std::string(digits) + "}";
    at_ += 6;
  }

  void InClass() {
    if (pattern_[at_] == '[') Refuse("a class within a class");
    if (Next("&&")) Refuse("&& in a class");
    if (pattern_[at_] == ']') in_class_ = false;
    Copy(1);
  }

  void Outside() {
    if (pattern_[at_] == '[') {
      in_class_ = true;
      Copy(Next("[^") ? 2 : 1);
      if (Next("]")) Refuse("an empty class");
      return;
    }
    if (Next("{,")) Refuse("{,n}");
    const bool brace = pattern_[at_] == '}';
    Copy(1);
    if (brace && Next("+")) Refuse("{n,m}+");
  }

  std::string_view pattern_;
  const std::string& where_;
  std::string out_;
  size_t at_ = 0;
  bool in_class_ = false;
};

}  // namespace

std::string TranslatePattern(const std::string& pattern, const std::string& where) {
  return Translator(pattern, where).Run();
}

}  // namespace longrope
