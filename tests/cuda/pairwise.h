// Few cases that hold every pair of values of any two parameters.
#pragma once

#include <vector>

namespace longrope::testing {

// levels[p]: how many values parameter p takes. A case holds an index of each. Deterministic.
std::vector<std::vector<int>> PairwiseCases(const std::vector<int>& levels);

}  // namespace longrope::testing
