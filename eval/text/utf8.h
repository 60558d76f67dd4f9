// UTF-8 as text files must hold it.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>

namespace longrope {

// Offset of the first byte that does not continue valid UTF-8 (overlong forms, surrogates and code
// points above U+10FFFF are not valid), or npos.
size_t FindInvalidUtf8(std::string_view text);

// Throws InputError "WHERE: byte N is not valid UTF-8".
void CheckUtf8(std::string_view text, const std::string& where);

// Of valid UTF-8: does a character begin with this byte?
constexpr bool StartsCharacter(char byte) {
  return (static_cast<unsigned char>(byte) & 0xC0) != 0x80;
}

// CRLF as LF; a CR alone stays. A byte order mark stays, too: Python's reader of UTF-8 keeps it.
std::string FoldLineEnds(std::string_view text);

}  // namespace longrope
