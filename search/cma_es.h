// Covariance matrix adaptation: N. Hansen, "The CMA Evolution Strategy: A Tutorial"
// (arXiv 1604.00772), with the tutorial's default parameters, negative weights included.
#pragma once

#include <memory>
#include <vector>

#include "search/rng.h"

namespace longrope {

// Minimises by ranks alone. Starts at the origin with standard deviation 1 in every coordinate: the
// caller maps coordinates to what they mean. Single-threaded: equal calls give equal bits.
class CmaEs {
 public:
  // `batch` points a generation, at least 4.
  CmaEs(int dimension, int batch);
  CmaEs(CmaEs&&) noexcept;
  CmaEs& operator=(CmaEs&&) noexcept;
  ~CmaEs();

  // The tutorial's batch for a dimension: 4 + floor(3 ln dimension).
  static int DefaultBatch(int dimension);

  // The next generation's points.
  std::vector<std::vector<double>> Ask(Rng& rng);
  // Their indices, best first. Call once after each Ask.
  void Tell(const std::vector<int>& best_first);

  // The largest standard deviation over the axes of the distribution: how far points still spread.
  double Spread() const;

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace longrope
