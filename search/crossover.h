// Children of two parents.
#pragma once

#include <optional>

#include "search/genome.h"
#include "search/rng.h"
#include "search/space.h"

namespace longrope {

struct CrossoverOptions {
  double rate = 0.5;  // probability with which a gene is the other parent's
  int tries = 20;     // children drawn until one is monotone and new
};

// Starts from the better parent and takes each pair's step, n-hat and m from `other` with
// probability `rate`; nullopt if no try gave a member of the space that is not in `known`.
std::optional<Genome> Cross(const Genome& better, const Genome& other, const SearchSpace& space,
                            const CrossoverOptions& options, const GenomeSet& known, Rng& rng);

}  // namespace longrope
