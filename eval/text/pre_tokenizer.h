// Cuts a text into the words that are tokenized each for itself.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "eval/text/regex.h"

namespace longrope {

// What becomes of the matches at which a text is cut.
enum class SplitBehavior { kRemoved, kIsolated, kMergedWithPrevious, kMergedWithNext, kContiguous };

struct SplitStep {
  std::shared_ptr<const Regex> regex;  // where none: `literal`, not empty
  std::string literal = {};
  SplitBehavior behavior = SplitBehavior::kIsolated;
  bool invert = false;  // what does not match counts as the matches
};
// A space before each piece that does not begin with one.
struct PrefixSpaceStep {};
enum class PrependScheme { kAlways, kFirst, kNever };  // kFirst: only where the text begins
// Spaces become `mark`, and one is put before a piece that does not begin with it.
struct MetaspaceStep {
  std::string mark;
  PrependScheme scheme = PrependScheme::kAlways;
};

using PreTokenizerStep = std::variant<SplitStep, PrefixSpaceStep, MetaspaceStep>;
using VisitWord = std::function<void(std::string_view word)>;

// Visits the words of `text` (valid UTF-8, not empty) from left to right, none of them empty.
// `first`: the text stands at the beginning of the whole.
void PreTokenize(std::string_view text, bool first, const std::vector<PreTokenizerStep>& steps,
                 const VisitWord& visit);

}  // namespace longrope
