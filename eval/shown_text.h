// Texts of hostile files, as errors show them.
#pragma once

#include <string>
#include <string_view>

namespace longrope {

// The text, or its first bytes and "..."; never cut inside a UTF-8 character.
std::string Shown(std::string_view text);

// That between quotation marks.
std::string Quoted(std::string_view text);

}  // namespace longrope
