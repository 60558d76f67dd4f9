// Child of two parents: between their curves.
#pragma once

#include "search/genome.h"
#include "search/rng.h"
#include "search/space.h"

namespace longrope {

// lambda is better^(1 - w) * other^w, pair by pair, w uniform in [-0.5, 1]: a negative w goes on
// from the worse past the better one. m is their mean weighted alike; n-hat is either's.
// Members of the space give one.
Genome Blend(const Genome& better, const Genome& other, const SearchSpace& space, Rng& rng);

}  // namespace longrope
