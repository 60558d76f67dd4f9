#include "eval/text/unicode.h"

#include <utf8proc.h>

#include <algorithm>
#include <cstdlib>
#include <memory>
#include <stdexcept>
#include <vector>

namespace longrope {
namespace {

// Normalizes a part of a text.
void AppendNormalized(std::string_view part, int options, std::string* out) {
  utf8proc_uint8_t* result = nullptr;
  const utf8proc_ssize_t length = utf8proc_map(
      reinterpret_cast<const utf8proc_uint8_t*>(part.data()),
      static_cast<utf8proc_ssize_t>(part.size()), &result, static_cast<utf8proc_option_t>(options));
  const std::unique_ptr<utf8proc_uint8_t, decltype(&std::free)> owner(result, &std::free);
  if (length < 0) throw std::runtime_error(std::string("utf8proc: ") + utf8proc_errmsg(length));
  out->append(reinterpret_cast<const char*>(result), static_cast<size_t>(length));
}

uint32_t CombiningClass(uint32_t code_point) {
  return utf8proc_get_property(static_cast<utf8proc_int32_t>(code_point))->combining_class;
}

// The text with long runs of combining marks in canonical order, which has the same normal forms:
// utf8proc's own sort takes time in the square of a run.
std::string WithSortedMarks(std::string_view text) {
  constexpr size_t kLongRun = 32;
  std::string out;
  out.reserve(text.size());
  std::vector<uint32_t> marks;
  for (size_t at = 0; at < text.size();) {
    const size_t start = at;
    marks.clear();
    size_t end = at;
    while (end < text.size() && static_cast<unsigned char>(text[end]) >= 0x80) {
      const uint32_t code_point = NextCodePoint(text, &end);
      if (CombiningClass(code_point) == 0) break;
      marks.push_back(code_point);
      at = end;
    }
    if (marks.empty()) NextCodePoint(text, &at);
    if (marks.size() <= kLongRun) {
      out += text.substr(start, at - start);
      continue;
    }
    std::stable_sort(marks.begin(), marks.end(),
                     [](uint32_t a, uint32_t b) { return CombiningClass(a) < CombiningClass(b); });
    for (const uint32_t mark : marks) out += Utf8(mark);
  }
  return out;
}

}  // namespace

std::string Normalize(std::string_view text, NormalForm form) {
  int options = UTF8PROC_STABLE;
  options |=
      form == NormalForm::kNfc || form == NormalForm::kNfkc ? UTF8PROC_COMPOSE : UTF8PROC_DECOMPOSE;
  if (form == NormalForm::kNfkc || form == NormalForm::kNfkd) options |= UTF8PROC_COMPAT;
  std::string out;
  out.reserve(text.size());
  constexpr size_t kPart = 1 << 20;
  while (!text.empty()) {
    // ASCII neither changes nor composes with what stands before it: a place to cut.
    size_t end = std::min(kPart, text.size());
    while (end < text.size() && static_cast<unsigned char>(text[end]) >= 0x80) ++end;
    AppendNormalized(WithSortedMarks(text.substr(0, end)), options, &out);
    text.remove_prefix(end);
  }
  return out;
}

uint32_t NextCodePoint(std::string_view text, size_t* at) {
  const auto byte = [&](size_t i) { return static_cast<unsigned char>(text[*at + i]); };
  const unsigned char lead = byte(0);
  uint32_t code = lead;
  size_t length = 1;
  if (lead >= 0xF0) {
    code =
        (lead & 0x07u) << 18 | (byte(1) & 0x3Fu) << 12 | (byte(2) & 0x3Fu) << 6 | (byte(3) & 0x3Fu);
    length = 4;
  } else if (lead >= 0xE0) {
    code = (lead & 0x0Fu) << 12 | (byte(1) & 0x3Fu) << 6 | (byte(2) & 0x3Fu);
    length = 3;
  } else if (lead >= 0x80) {
    code = (lead & 0x1Fu) << 6 | (byte(1) & 0x3Fu);
    length = 2;
  }
  *at += length;
  return code;
}

std::string Utf8(uint32_t code_point) {
  utf8proc_uint8_t bytes[4];
  const auto length = utf8proc_encode_char(static_cast<utf8proc_int32_t>(code_point), bytes);
  return {reinterpret_cast<const char*>(bytes), static_cast<size_t>(length)};
}

bool IsWhiteSpace(uint32_t c) {
  return (c >= 0x09 && c <= 0x0D) || c == 0x20 || c == 0x85 || c == 0xA0 || c == 0x1680 ||
         (c >= 0x2000 && c <= 0x200A) || c == 0x2028 || c == 0x2029 || c == 0x202F || c == 0x205F ||
         c == 0x3000;
}

}  // namespace longrope
