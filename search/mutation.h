// Children of one parent.
#pragma once

#include <optional>

#include "search/genome.h"
#include "search/rng.h"
#include "search/space.h"

namespace longrope {

// One sweep over the pairs, in place: with probability `rate` a pair is redrawn uniformly between
// its left neighbour (already swept) and its right one, the last pair up to the bound; n-hat, and m
// if it is searched, are redrawn from all their values with the same probability. A member of the
// space stays one.
void Sweep(Genome* genome, const SearchSpace& space, double rate, Rng& rng);

// n-hat, and m if it is searched, drawn uniformly from all their values.
void RedrawScalars(Genome* genome, const SearchSpace& space, Rng& rng);

// Sweeps over `parent` until the child is not in `known`: nearly always one. nullopt after a
// thousand sweeps (the space is as good as exhausted).
std::optional<Genome> Mutate(const Genome& parent, const SearchSpace& space, double rate,
                             const GenomeSet& known, Rng& rng);

}  // namespace longrope
