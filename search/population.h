// Every candidate of a stage, evaluated or waiting.
#pragma once

#include <array>
#include <cstdint>
#include <limits>
#include <optional>
#include <string_view>
#include <vector>

#include "eval/score.h"
#include "search/genome.h"

namespace longrope {

// Where a candidate comes from. The numbers stand in checkpoints: never renumber.
enum class Origin {
  kPi = 0,
  kNtk = 1,
  kYarn = 2,
  kSeedMutant = 3,
  kMutation = 4,
  kCrossover = 5,
  kCrossoverMutant = 6,  // no crossover was new and monotone: a mutant of the better parent
  kFamily = 7,           // a curve of the warm start
  kStartSweep = 8,       // the best of them with another n-hat
  kSegment = 9,          // operators beside the paper's (search/operators)
  kShift = 10,
  kScalars = 11,
  kBlend = 12,
  kPrefix = 13,
  kPlain = 14,      // seeds of a readjustment: no change,
  kExtended = 15,   // the extended factors,
  kSeedBlend = 16,  // blends of the two
};
inline constexpr int kOrigins = 17;
std::string_view NameOf(Origin origin);

// Why racing stopped a candidate before its last fitness document. The numbers stand in
// checkpoints: never renumber.
enum class StopReason {
  kNone = 0,
  kCertain = 1,  // its loss so far is more than one of the best may have in all
  kLikely = 2,   // its losses so far are higher than those of one of the best, beyond chance
};
inline constexpr int kStopReasons = 3;
std::string_view NameOf(StopReason reason);  // "" of kNone

// Scores by document; empty where not scored yet.
using Scores = std::vector<std::optional<Score>>;

// Perplexity over documents [begin, begin + count); nullopt while one of them is missing.
std::optional<double> PerplexityOf(const Scores& scores, size_t begin, size_t count);

inline constexpr int64_t kNoParent = -1;

struct Candidate {
  int64_t id = 0;  // its index in the population
  int generation = 0;
  Origin origin = Origin::kMutation;
  std::array<int64_t, 2> parents = {kNoParent, kNoParent};
  Genome genome;
  Scores scores;  // the fitness documents, then the held-out ones
  StopReason stopped = StopReason::kNone;
};

// Candidates in the order they were drawn, each genome once. Not thread-safe.
class Population {
 public:
  // `fitness` documents rank a candidate, `held_out` ones only report on it.
  Population(int fitness, int held_out) : fitness_(fitness), held_out_(held_out) {}

  int fitness() const { return fitness_; }
  int held_out() const { return held_out_; }
  const std::vector<Candidate>& candidates() const { return candidates_; }
  const GenomeSet& genomes() const { return genomes_; }

  // Appends a candidate without scores; false if its genome is there already.
  bool Add(int generation, Origin origin, std::array<int64_t, 2> parents, Genome genome);
  void SetScore(int64_t id, int document, Score score);
  // The candidate's remaining fitness documents will not be asked for.
  void Stop(int64_t id, StopReason reason);

  // Perplexity on the fitness documents (infinite if a score is not finite); nullopt while one of
  // them is missing.
  std::optional<double> Fitness(int64_t id) const;
  std::optional<double> HeldOut(int64_t id) const;
  // Fitness documents that it has scores of.
  int Met(int64_t id) const;
  // Nothing more is to be scored of it: it has a fitness or was stopped.
  bool Settled(int64_t id) const;
  // Ids of the evaluated candidates of generations below `end`, best first: by fitness, then by id.
  // A candidate that was stopped has no fitness.
  std::vector<int64_t> Ranked(int end = std::numeric_limits<int>::max()) const;
  // Fitness documents that the settled candidates met: what a budget counts.
  int64_t SettledScores() const;
  int64_t SettledCount() const;

 private:
  int fitness_, held_out_;
  std::vector<Candidate> candidates_;
  GenomeSet genomes_;
};

}  // namespace longrope
