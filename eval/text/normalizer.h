// What is done to a text before it is cut into words.
#pragma once

#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "eval/text/unicode.h"

namespace longrope {

struct PrependStep {
  std::string prefix;  // before a text that is not empty
};
struct ReplaceStep {
  std::string what, by;  // `what` is not empty
};

using NormalizerStep = std::variant<PrependStep, ReplaceStep, NormalForm>;

// The steps one after another. `text` is valid UTF-8, as the result is.
std::string Normalized(std::string_view text, const std::vector<NormalizerStep>& steps);

// All occurrences of `what`, from the left, by `by`.
std::string Replaced(std::string_view text, std::string_view what, std::string_view by);

}  // namespace longrope
