// The closed forms that a search begins with.
#pragma once

#include <string>
#include <vector>

#include "eval/rope_methods.h"
#include "search/evolution.h"
#include "search/space.h"

namespace longrope {

// Methods that can be seeds: "pi", "ntk", "yarn".
const std::vector<std::string>& SeedNames();

// The named methods at `ratio`, snapped to the space, n-hat 0 (or the nearest that the space has);
// m snapped from the method's own where it is searched.
// `attention_before`: of a second interpolation, m of the first. Throws InputError that lists the
// names.
std::vector<Seed> MethodSeeds(const std::vector<std::string>& names, const SearchSpace& space,
                              const RopeShape& shape, double ratio, const YarnOptions& yarn,
                              double attention_before = 1);

}  // namespace longrope
