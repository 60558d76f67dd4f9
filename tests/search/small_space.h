// A search space of the tiny model's pairs at eight times its length.
#pragma once

#include <utility>
#include <vector>

#include "search/space.h"

namespace longrope::testing {

inline SearchSpace SmallSpace(bool search_attention, std::vector<int64_t> start_tokens,
                              double attention_bound = 1.46) {
  SpaceOptions options;
  options.pairs = 32;
  options.bound = 10;
  options.start_tokens = std::move(start_tokens);
  options.search_attention = search_attention;
  options.attention_bound = attention_bound;
  return SearchSpace(std::move(options));
}

}  // namespace longrope::testing
