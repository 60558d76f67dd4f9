#include "search/racing.h"

#include <cmath>
#include <numbers>

namespace longrope {
namespace {

double Nats(const Scores& scores, int count) {
  double nats = 0;
  for (int i = 0; i < count; ++i) nats += scores[static_cast<size_t>(i)]->nats;
  return nats;
}

// Do the differences of losses by document say, at this confidence, that their mean is above 0?
bool IsWorse(const Scores& scores, const Scores& rival, int met, double confidence) {
  const auto difference = [&](int i) {
    const auto at = static_cast<size_t>(i);
    return scores[at]->nats - rival[at]->nats;
  };
  double mean = 0, squares = 0;
  for (int i = 0; i < met; ++i) mean += difference(i) / met;
  for (int i = 0; i < met; ++i) squares += std::pow(difference(i) - mean, 2);
  const double error = std::sqrt(squares / (met - 1) / met);
  return mean > 0 && StudentCdf(mean / error, met - 1) >= confidence;
}

}  // namespace

StopReason Race(const Scores& scores, const Scores& rival, int met, int documents,
                const RaceOptions& options) {
  const double allowed = Nats(rival, documents), loss = Nats(scores, met);
  if (met == 0 || met == documents || !std::isfinite(allowed)) return StopReason::kNone;
  if (!(loss <= allowed)) return StopReason::kCertain;
  if (options.confidence && met >= 2 && IsWorse(scores, rival, met, *options.confidence)) {
    return StopReason::kLikely;
  }
  return StopReason::kNone;
}

double StudentCdf(double t, int degrees) {
  const double angle = std::atan(t / std::sqrt(degrees));
  const double cosine = std::cos(angle), sine = std::sin(angle);
  // P(-t <= T <= t); each term is the one before times (k - 1) / k cos^2, k of degrees' parity.
  double term = degrees % 2 == 0 ? 1 : cosine, sum = degrees == 1 ? 0 : term;
  for (int k = degrees % 2 == 0 ? 2 : 3; k < degrees; k += 2) {
    term *= cosine * cosine * (k - 1) / k;
    sum += term;
  }
  const double within = degrees % 2 == 0
                            ? sine * sum
                            : (angle + (degrees == 1 ? 0 : sine * sum)) * 2 / std::numbers::pi;
  return 0.5 + within / 2;
}

}  // namespace longrope
