// What a stage has found out so far: all that a checkpoint keeps of it.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "eval/evaluator.h"
#include "search/job/stage_plan.h"
#include "search/population.h"

namespace longrope {

struct BaselineState {
  Baseline baseline;
  Scores scores;  // the fitness documents, then the held-out ones
};

struct StageState {
  explicit StageState(const StageOptions& options)
      : name(options.name), population(options.documents, options.held_out) {}

  std::string name;
  FingerprintParts
      fingerprint;  // of the evaluator that gave the scores; empty before the stage began
  Population population;
  std::vector<BaselineState> baselines;

  // The best evaluated candidate; nullptr while there is none.
  const Candidate* Winner() const;
  // Perplexities of a baseline; nullopt while scores are missing.
  std::optional<double> Fitness(const BaselineState& baseline) const;
  std::optional<double> HeldOut(const BaselineState& baseline) const;
  // Scores that are there.
  int64_t ScoreCount() const;
  // Makes `wanted` the list of baselines; scores of those with equal factors are kept.
  void SetBaselines(const std::vector<Baseline>& wanted);
};

// Throws InputError that begins with `where` and names the parts in which the evaluator that would
// go on with a stage differs from the one that began it.
void CheckFingerprint(const FingerprintParts& before, const FingerprintParts& now,
                      const std::string& stage, const std::string& where);

// How far a stage is. What racing saved is spent on further candidates as long as the schedule has
// them, so that what is planned changes on the way.
struct StageProgress {
  int64_t evaluations = 0;  // candidates that are settled: evaluated, or stopped by racing
  int64_t planned_evaluations = 0;
  int64_t scores = 0;  // baselines and held-out ones included
  int64_t planned_scores = 0;
};
StageProgress ProgressOf(const StagePlan& plan, const StageState& state);

}  // namespace longrope
