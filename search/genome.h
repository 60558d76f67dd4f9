// A candidate as the search sees it: whole numbers on a grid, so that equality, hashing and order
// are exact.
#pragma once

#include <cstddef>
#include <cstdint>
#include <unordered_set>
#include <vector>

namespace longrope {

// What the numbers mean is for SearchSpace to say.
struct Genome {
  std::vector<int32_t> steps;  // lambda of pair i is 1 + 0.01 * steps[i]; non-decreasing
  int32_t start_index = 0;     // into the list of start-token values
  int32_t attention_step = 0;  // m is 1 + 0.01 * attention_step; 0 where m is not searched

  bool operator==(const Genome&) const = default;
};

// FNV-1a over the numbers.
struct GenomeHash {
  size_t operator()(const Genome& genome) const {
    uint64_t hash = 14695981039346656037ull;
    const auto add = [&hash](int32_t number) {
      hash = (hash ^ static_cast<uint32_t>(number)) * 1099511628211ull;
    };
    for (int32_t step : genome.steps) add(step);
    add(genome.start_index);
    add(genome.attention_step);
    return static_cast<size_t>(hash);
  }
};

using GenomeSet = std::unordered_set<Genome, GenomeHash>;

}  // namespace longrope
