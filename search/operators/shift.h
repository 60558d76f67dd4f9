// Child of one parent: the whole curve moves along the pairs.
#pragma once

#include "search/genome.h"
#include "search/rng.h"
#include "search/space.h"

namespace longrope {

// lambda_i becomes lambda at i - z, linear between pairs, z normal with a standard deviation of
// 1/16 of the pairs; beyond the ends the curve goes on flat. A member of the space stays one.
Genome Shift(const Genome& parent, const SearchSpace& space, Rng& rng);

}  // namespace longrope
