// How sure a difference between two methods is.
#pragma once

#include <cstdint>
#include <vector>

#include "eval/score.h"
#include "search/rng.h"

namespace longrope {

// Scores of two methods on the same documents, in one seed's runs. At least one document.
struct PairedScores {
  std::vector<Score> first, second;
};

// A difference of perplexities in percent, and where it lies at some confidence.
struct Difference {
  double percent = 0;  // below 0: the first method's perplexity is the lower one
  double low = 0, high = 0;
};

// exp(mean over seeds of the difference of nats per token) - 1, with a percentile interval of the
// paired bootstrap (Efron and Tibshirani, "An Introduction to the Bootstrap", 1993, chapters 8 and
// 13): seeds are drawn with replacement, then documents within each. NaN where a score is not
// finite. `seeds` has at least one element.
Difference BootstrapDifference(const std::vector<PairedScores>& seeds, double confidence,
                               int64_t resamples, Rng& rng);

}  // namespace longrope
