#include "tests/cuda/pairwise.h"

#include <algorithm>
#include <array>
#include <set>

namespace longrope::testing {
namespace {

using Case = std::vector<int>;
// Parameters a < b and their values.
using Pair = std::array<int, 4>;

int Covered(const Case& values, const std::set<Pair>& open, int parameter, int value) {
  int covered = 0;
  for (int other = 0; other < static_cast<int>(values.size()); ++other) {
    if (other == parameter || values[static_cast<size_t>(other)] < 0) continue;
    const int with = values[static_cast<size_t>(other)];
    covered += open.contains(parameter < other ? Pair{parameter, other, value, with}
                                               : Pair{other, parameter, with, value});
  }
  return covered;
}

}  // namespace

std::vector<std::vector<int>> PairwiseCases(const std::vector<int>& levels) {
  const int count = static_cast<int>(levels.size());
  std::set<Pair> open;
  for (int a = 0; a < count; ++a) {
    for (int b = a + 1; b < count; ++b) {
      for (int i = 0; i < levels[static_cast<size_t>(a)]; ++i) {
        for (int j = 0; j < levels[static_cast<size_t>(b)]; ++j) open.insert({a, b, i, j});
      }
    }
  }
  std::vector<Case> cases;
  while (!open.empty()) {
    // Greedy: one open pair, then for each other parameter the value that closes the most.
    const Pair first = *open.begin();
    Case values(levels.size(), -1);
    values[static_cast<size_t>(first[0])] = first[2];
    values[static_cast<size_t>(first[1])] = first[3];
    for (int p = 0; p < count; ++p) {
      if (values[static_cast<size_t>(p)] >= 0) continue;
      int best = 0, closes = -1;
      for (int value = 0; value < levels[static_cast<size_t>(p)]; ++value) {
        // Begin elsewhere in every case, so that ties do not always take the first value.
        const int shifted =
            (value + static_cast<int>(cases.size())) % levels[static_cast<size_t>(p)];
        const int here = Covered(values, open, p, shifted);
        if (here > closes) best = shifted, closes = here;
      }
      values[static_cast<size_t>(p)] = best;
    }
    for (int a = 0; a < count; ++a) {
      for (int b = a + 1; b < count; ++b) {
        open.erase({a, b, values[static_cast<size_t>(a)], values[static_cast<size_t>(b)]});
      }
    }
    cases.push_back(values);
  }
  return cases;
}

}  // namespace longrope::testing
