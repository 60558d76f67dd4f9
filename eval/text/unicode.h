// Code points of UTF-8 text, and Unicode's normal forms (utf8proc).
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

namespace longrope {

enum class NormalForm { kNfc, kNfd, kNfkc, kNfkd };

// `text` is valid UTF-8. Linear, and in bounded memory beside the result.
std::string Normalize(std::string_view text, NormalForm form);

// The code point that begins at *at, which moves past it; `text` is valid UTF-8 there.
uint32_t NextCodePoint(std::string_view text, size_t* at);
// The code point in UTF-8.
std::string Utf8(uint32_t code_point);
// Unicode's White_Space property.
bool IsWhiteSpace(uint32_t code_point);

}  // namespace longrope
