// Back to the grid and into order: what every operator on real-valued curves ends with.
#pragma once

#include <cstddef>
#include <span>
#include <vector>

#include "search/genome.h"
#include "search/space.h"

namespace longrope {

// lambda of every pair, as real numbers.
std::vector<double> LambdaOf(const Genome& genome);

// `genome` with its steps replaced by the grid values nearest to `lambda`, clamped to the space.
// The pairs [first, last) keep their new values; where order asks for it, pairs before them are
// lowered to the segment's first and pairs after them raised to its last.
Genome WithLambda(const Genome& genome, std::span<const double> lambda, const SearchSpace& space,
                  size_t first, size_t last);

}  // namespace longrope
