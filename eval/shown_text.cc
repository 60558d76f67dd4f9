#include "eval/shown_text.h"

#include "eval/text/utf8.h"

namespace longrope {

std::string Shown(std::string_view text) {
  constexpr size_t kMax = 60;  // bytes
  if (text.size() <= kMax) return std::string(text);
  size_t end = kMax;
  while (end > 0 && !StartsCharacter(text[end])) --end;
  return std::string(text.substr(0, end)) + "...";
}

std::string Quoted(std::string_view text) { return "'" + Shown(text) + "'"; }

}  // namespace longrope
