// "Did you mean": the nearest of some names.
#pragma once

#include <string>
#include <vector>

namespace longrope {

// The name with the smallest edit distance to `word` (Levenshtein); "" if there are no names.
std::string NearestName(const std::string& word, const std::vector<std::string>& names);

// "a, b, c"
std::string Joined(const std::vector<std::string>& names);

}  // namespace longrope
