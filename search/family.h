// A small family of candidates, by a few real parameters: where a warm start looks.
#pragma once

#include <span>

#include "search/genome.h"

namespace longrope {

class Family {
 public:
  virtual ~Family() = default;
  // Parameters of a point, each counted in first steps from the family's centre.
  virtual int dimension() const = 0;
  // The member of the space nearest to the point, however far out it is; n-hat 0 (or the nearest
  // that the space has).
  virtual Genome GenomeAt(std::span<const double> point) const = 0;
};

}  // namespace longrope
