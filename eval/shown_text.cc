#include "eval/shown_text.h"

namespace longrope {

std::string Shown(std::string_view text) {
  constexpr size_t kMax = 60;  // bytes
  if (text.size() <= kMax) return std::string(text);
  size_t end = kMax;
  while (end > 0 && (static_cast<unsigned char>(text[end]) & 0xC0) == 0x80) --end;
  return std::string(text.substr(0, end)) + "...";
}

std::string Quoted(std::string_view text) { return "'" + Shown(text) + "'"; }

}  // namespace longrope
