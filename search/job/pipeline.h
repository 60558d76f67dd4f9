// A whole run: stages in order, made durable in the run's folder.
#pragma once

#include <stop_token>
#include <string>
#include <vector>

#include "search/job/checkpoint.h"
#include "search/job/job_options.h"
#include "search/job/observer.h"
#include "search/job/results.h"
#include "search/job/run_folder.h"
#include "search/job/stage_evaluators.h"

namespace longrope {

enum class RunEnd {
  kDone,
  kStopped,      // checkpointed; `resume` goes on
  kAlreadyDone,  // there was nothing left to do
};

// Runs, or goes on with, `job` in its folder (locked by `folder`). Equal jobs give equal files,
// however often they were stopped. Throws InputError (FileError included) and leaves a folder that
// can be resumed, or nothing where the run could not begin.
class Pipeline {
 public:
  // Everything outlives the pipeline.
  Pipeline(const Job& job, RunFolder& folder, StageEvaluators& evaluators, RunObserver& observer);
  RunEnd Run(std::stop_token stop);
  // After kDone or kAlreadyDone: the table of all stages.
  const std::vector<TableRow>& table() const { return table_; }

 private:
  RunEnd RunStages(std::stop_token stop);
  // False if stopped.
  bool RunStage(size_t index, std::stop_token stop);
  // Throws InputError if a checkpoint's candidates are not in their space.
  bool AllDone(const std::string& where);
  // Makes the end of a finished stage its state.
  bool IsDoneAt(size_t stage);
  void LoadCheckpoint();
  StageState& StateOf(size_t stage, const FingerprintParts& fingerprint);
  void SaveJob() const;
  void SaveCheckpoint() const;
  void SaveHistory() const;
  void SaveResults();
  uint64_t Seed() const;
  // Spent on a stage by earlier processes, from times.csv; 0 where no budget asks for it.
  double HoursOf(const StageOptions& stage) const;
  std::vector<StageView> Views() const;

  const Job& job_;
  RunFolder& folder_;
  StageEvaluators& evaluators_;
  RunObserver& observer_;
  RunState state_;
  std::vector<StagePlan> plans_;
  std::vector<TableRow> table_;
};

}  // namespace longrope
