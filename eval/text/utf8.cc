#include "eval/text/utf8.h"

#include "eval/errors.h"

namespace longrope {
namespace {

// Bytes of the sequence that starts with `lead`, 0 if none does; *low and *high bound its second.
size_t SequenceLength(unsigned char lead, unsigned char* low, unsigned char* high) {
  *low = 0x80;
  *high = 0xBF;
  if (lead < 0x80) return 1;
  if (lead >= 0xC2 && lead <= 0xDF) return 2;
  if (lead >= 0xE0 && lead <= 0xEF) {
    if (lead == 0xE0) *low = 0xA0;   // shorter forms exist below
    if (lead == 0xED) *high = 0x9F;  // surrogates above
    return 3;
  }
  if (lead >= 0xF0 && lead <= 0xF4) {
    if (lead == 0xF0) *low = 0x90;
    if (lead == 0xF4) *high = 0x8F;  // U+10FFFF is the last
    return 4;
  }
  return 0;
}

}  // namespace

size_t FindInvalidUtf8(std::string_view text) {
  for (size_t at = 0; at < text.size();) {
    unsigned char low, high;
    const size_t length = SequenceLength(static_cast<unsigned char>(text[at]), &low, &high);
    if (length == 0 || text.size() - at < length) return at;
    for (size_t i = 1; i < length; ++i) {
      const auto byte = static_cast<unsigned char>(text[at + i]);
      if (byte < low || byte > high) return at;
      low = 0x80;
      high = 0xBF;
    }
    at += length;
  }
  return std::string_view::npos;
}

void CheckUtf8(std::string_view text, const std::string& where) {
  const size_t bad = FindInvalidUtf8(text);
  if (bad == std::string_view::npos) return;
  throw InputError(where + ": byte " + std::to_string(bad) + " is not valid UTF-8");
}

std::string FoldLineEnds(std::string_view text) {
  std::string folded;
  folded.reserve(text.size());
  for (size_t i = 0; i < text.size(); ++i) {
    if (text[i] == '\r' && i + 1 < text.size() && text[i + 1] == '\n') continue;
    folded += text[i];
  }
  return folded;
}

}  // namespace longrope
