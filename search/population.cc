#include "search/population.h"

#include <algorithm>
#include <cmath>
#include <utility>

namespace longrope {

std::string_view NameOf(Origin origin) {
  switch (origin) {
    case Origin::kPi:
      return "pi";
    case Origin::kNtk:
      return "ntk";
    case Origin::kYarn:
      return "yarn";
    case Origin::kSeedMutant:
      return "seed-mutant";
    case Origin::kMutation:
      return "mutation";
    case Origin::kCrossover:
      return "crossover";
    case Origin::kCrossoverMutant:
      return "crossover-mutant";
    case Origin::kFamily:
      return "family";
    case Origin::kStartSweep:
      return "start-sweep";
    case Origin::kSegment:
      return "segment";
    case Origin::kShift:
      return "shift";
    case Origin::kScalars:
      return "scalars";
    case Origin::kBlend:
      return "blend";
    case Origin::kPrefix:
      return "prefix";
    case Origin::kPlain:
      return "none";
    case Origin::kExtended:
      return "extended";
    case Origin::kSeedBlend:
      return "seed-blend";
  }
  return "";
}

std::string_view NameOf(StopReason reason) {
  switch (reason) {
    case StopReason::kNone:
      return "";
    case StopReason::kCertain:
      return "certain";
    case StopReason::kLikely:
      return "likely";
  }
  return "";
}

std::optional<double> PerplexityOf(const Scores& scores, size_t begin, size_t count) {
  double nats = 0;
  int64_t tokens = 0;
  for (size_t i = begin; i < begin + count; ++i) {
    if (!scores[i]) return std::nullopt;
    nats += scores[i]->nats;
    tokens += scores[i]->tokens;
  }
  return Perplexity(nats, tokens);
}

bool Population::Add(int generation, Origin origin, std::array<int64_t, 2> parents, Genome genome) {
  if (!genomes_.insert(genome).second) return false;
  Candidate candidate{static_cast<int64_t>(candidates_.size()),
                      generation,
                      origin,
                      parents,
                      std::move(genome),
                      Scores(static_cast<size_t>(fitness_ + held_out_))};
  candidates_.push_back(std::move(candidate));
  return true;
}

void Population::SetScore(int64_t id, int document, Score score) {
  candidates_.at(static_cast<size_t>(id)).scores.at(static_cast<size_t>(document)) = score;
}

void Population::Stop(int64_t id, StopReason reason) {
  candidates_.at(static_cast<size_t>(id)).stopped = reason;
}

int Population::Met(int64_t id) const {
  const Scores& scores = candidates_.at(static_cast<size_t>(id)).scores;
  return static_cast<int>(std::count_if(scores.begin(), scores.begin() + fitness_,
                                        [](const auto& score) { return score.has_value(); }));
}

bool Population::Settled(int64_t id) const {
  const Candidate& candidate = candidates_.at(static_cast<size_t>(id));
  return candidate.stopped != StopReason::kNone || Fitness(id).has_value();
}

std::optional<double> Population::Fitness(int64_t id) const {
  return PerplexityOf(candidates_.at(static_cast<size_t>(id)).scores, 0,
                      static_cast<size_t>(fitness_));
}

std::optional<double> Population::HeldOut(int64_t id) const {
  return PerplexityOf(candidates_.at(static_cast<size_t>(id)).scores, static_cast<size_t>(fitness_),
                      static_cast<size_t>(held_out_));
}

std::vector<int64_t> Population::Ranked(int end) const {
  std::vector<std::pair<double, int64_t>> evaluated;
  for (const Candidate& candidate : candidates_) {
    if (candidate.generation >= end) break;
    if (const auto fitness = Fitness(candidate.id)) evaluated.emplace_back(*fitness, candidate.id);
  }
  std::ranges::sort(evaluated);
  std::vector<int64_t> ids;
  for (const auto& [fitness, id] : evaluated) ids.push_back(id);
  return ids;
}

int64_t Population::SettledScores() const {
  int64_t count = 0;
  for (const Candidate& candidate : candidates_) {
    if (Settled(candidate.id)) count += Met(candidate.id);
  }
  return count;
}

int64_t Population::SettledCount() const {
  return std::ranges::count_if(candidates_, [&](const auto& c) { return Settled(c.id); });
}

}  // namespace longrope
