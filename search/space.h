// Which values factors may take (LongRoPE, arXiv 2402.13753, table 1).
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "eval/rope_factors.h"
#include "search/genome.h"

namespace longrope {

inline constexpr double kGridStep = 0.01;  // of lambda and of a searched attention factor

struct SpaceOptions {
  int pairs = 0;                      // head_dim / 2
  double bound = 1;                   // largest lambda; the grid ends at or below it
  std::vector<int64_t> start_tokens;  // values of n-hat, increasing, at least one
  bool search_attention = false;      // is m a gene?
  double attention_factor = 1;        // m of every candidate, unless it is a gene
  double attention_bound = 1;         // largest m, if it is a gene; the smallest is 1
  // Of a second interpolation: genes are what these, elementwise, are multiplied by. Empty: ones.
  std::vector<float> previous = {};
};

// lambda_i in {1, 1.01, ..., bound}, non-decreasing in i; n-hat from a list; m fixed or on the same
// grid. Immutable.
class SearchSpace {
 public:
  // Throws std::invalid_argument if the options leave no candidate.
  explicit SearchSpace(SpaceOptions options);

  int pairs() const { return options_.pairs; }
  int32_t max_step() const { return max_step_; }
  int32_t start_count() const { return static_cast<int32_t>(options_.start_tokens.size()); }
  // 0 where m is not searched.
  int32_t max_attention_step() const { return max_attention_step_; }

  // Every gene in its range and the steps non-decreasing.
  bool Contains(const Genome& genome) const;
  // The candidate nearest to factors that were given in real numbers: each lambda rounded to the
  // grid and clamped, then raised to its left neighbour; the nearest n-hat and m.
  Genome Snap(std::span<const double> lambda, int64_t start_tokens, double attention_factor) const;
  // The candidate with every gene at its largest.
  Genome Largest() const;
  // Factors of a candidate of this space, those before a second interpolation multiplied in.
  RopeFactors Decode(const Genome& genome) const;

 private:
  SpaceOptions options_;
  int32_t max_step_ = 0, max_attention_step_ = 0;
};

}  // namespace longrope
