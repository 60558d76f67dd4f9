#include "eval/number_text.h"

#include <charconv>
#include <cstdlib>

namespace longrope {

std::string NumberText(double number) {
  char text[32];
  const auto end = std::to_chars(std::begin(text), std::end(text), number).ptr;
  return std::string(text, end);
}

std::string FloatText(float value) {
  char text[32];
  const auto end = std::to_chars(std::begin(text), std::end(text), value).ptr;
  return std::string(text, end);
}

double ShortestDecimal(float value) { return std::strtod(FloatText(value).c_str(), nullptr); }

}  // namespace longrope
