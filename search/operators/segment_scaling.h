// Child of one parent: a stretch of pairs moves together.
#pragma once

#include "search/genome.h"
#include "search/rng.h"
#include "search/space.h"

namespace longrope {

// lambda - 1 of the pairs of a uniformly drawn segment is multiplied by exp(0.25 z), z standard
// normal; pairs beside it give way where order asks for it. A member of the space stays one.
Genome ScaleSegment(const Genome& parent, const SearchSpace& space, Rng& rng);

}  // namespace longrope
