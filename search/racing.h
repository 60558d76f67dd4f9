// Which candidates need not meet their next document: those that can no longer be among the best
// (after F-Race: Birattari et al., "A Racing Algorithm for Configuring Metaheuristics", GECCO
// 2002, with a paired t test on the mean in the place of ranks).
#pragma once

#include <optional>
#include <string_view>

#include "search/population.h"

namespace longrope {

struct RaceOptions {
  // Confidence at which a candidate that is worse so far counts as worse; unset: only what is
  // certain stops a candidate.
  std::optional<double> confidence;
};

// Why a candidate with these scores need not go on against a rival that has all its own; kNone
// while it must. Both met the documents in the same order.
//
// Certain: its summed loss is not finite, or is above the rival's over all documents (a loss is
// never negative). Likely: over at least two documents its losses exceed the rival's on the same
// documents by a mean whose one-sided paired t test reaches the confidence. Where the rival's loss
// is not finite nothing stops a candidate. `met`: documents that the candidate has scores of, the
// first ones of `documents`.
StopReason Race(const Scores& scores, const Scores& rival, int met, int documents,
                const RaceOptions& options);

// P(T <= t) of Student's distribution with so many degrees of freedom, at least 1: the finite sums
// of Abramowitz and Stegun, 26.7.3 and 26.7.4.
double StudentCdf(double t, int degrees);

}  // namespace longrope
