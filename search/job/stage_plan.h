// A stage that searches, once its model is known: its space, seeds and baselines.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "eval/factor_set.h"
#include "eval/rope_methods.h"
#include "search/evolution.h"
#include "search/job/job_options.h"
#include "search/space.h"

namespace longrope {

// What a stage needs to know of the model it searches on.
struct StageModel {
  RopeShape shape;
  // Factors that it builds on, and the length that they reach. Kind `search`: those that the model
  // carries; the stage multiplies them (a second interpolation). Kind `readjust`: those that it
  // looks for shorter ones beside; must be there.
  std::optional<FactorBucket> given = {};

  bool operator==(const StageModel&) const = default;
};

// Factors to stand beside the winner: never snapped to the grid, outside the population.
struct Baseline {
  // Name of a RopeMethod; "unchanged": the factors that the stage builds on; "blend-0.25", ...: of
  // none and those.
  std::string method;
  std::string attention;  // "own": the method's own m; "run": the search's
  RopeFactors factors;
};

// Its method, and whose m where that is not the method's own.
std::string MethodLabel(const Baseline& baseline);

struct StagePlan {
  StageOptions options;
  StageModel model;
  double ratio = 1;  // length / original length: the total one of a second interpolation
  double extra = 1;  // what the genes are to reach: length / the length reached before
  std::optional<double> attention_factor = {};  // m of every candidate; nullopt: m is a gene
  SearchSpace space;
  std::vector<Seed> seeds = {};
  std::string warning = {};  // of what a user may not have meant, "" if there is nothing
  std::shared_ptr<const Family> family = {};  // of a warm start

  // Candidates that the stage may evaluate on all documents.
  int64_t Evaluations() const;
  // Scores that these take. Where racing stops a candidate early, what it saves buys others, up to
  // the stage's schedule.
  int64_t ScoreBudget() const { return Evaluations() * options.documents; }
  // Candidates of the schedule, whatever the budget is.
  int64_t ScheduledEvaluations() const;
  // Scores of a whole stage: candidates, baselines and the winner's held-out documents. A searched
  // m may be that of a method, which then has one row and not two: exact where the winner's is
  // given.
  int64_t PlannedScores(std::optional<double> winners_attention = std::nullopt) const;
};

// Throws InputError "stages.NAME.key: ..." for what does not fit the model.
StagePlan PlanStage(const StageOptions& options, const StageModel& model);

// All baselines with their own m and, where it differs, with `run_attention` (the winner's m where
// it was searched); only the former while it is unknown.
std::vector<Baseline> StageBaselines(const StagePlan& plan, std::optional<double> run_attention);

}  // namespace longrope
