// UTF-8 as text files must hold it.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>

namespace longrope {

// Offset of the first byte that does not continue valid UTF-8 (overlong forms, surrogates and code
// points above U+10FFFF are not valid), or npos.
size_t FindInvalidUtf8(std::string_view text);

// CRLF as LF; a CR alone stays. A byte order mark stays, too: Python's reader of UTF-8 keeps it.
std::string FoldLineEnds(std::string_view text);

}  // namespace longrope
