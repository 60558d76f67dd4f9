// Child of one parent: the curve stays, n-hat or m changes.
#pragma once

#include "search/genome.h"
#include "search/rng.h"
#include "search/space.h"

namespace longrope {

// n-hat or m, whichever the space searches (either with probability 1/2 if both), is redrawn: n-hat
// uniformly from its values, m normally around the parent's with a standard deviation of 0.03,
// within its range. A member of the space stays one.
Genome RedrawScalar(const Genome& parent, const SearchSpace& space, Rng& rng);

}  // namespace longrope
