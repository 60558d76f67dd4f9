// Numbers as text that reads back as the same number.
#pragma once

#include <string>

namespace longrope {

// Shortest; "inf", "nan".
std::string NumberText(double number);

// Shortest decimal that reads back as `value` in float32 (at most 9 significant digits).
double ShortestDecimal(float value);
std::string FloatText(float value);

}  // namespace longrope
