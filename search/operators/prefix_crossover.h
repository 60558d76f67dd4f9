// Child of two parents: fast pairs of one, slow pairs of the other.
#pragma once

#include "search/genome.h"
#include "search/rng.h"
#include "search/space.h"

namespace longrope {

// Pairs below a uniformly drawn cut are one parent's, the others the other's, raised where order
// asks for it; which parent gives the prefix is drawn too. n-hat and m are either's. Members of the
// space give one.
Genome CrossPrefix(const Genome& better, const Genome& other, const SearchSpace& space, Rng& rng);

}  // namespace longrope
