// A whole run: stages in order, each in a folder of its own in the run's.
#pragma once

#include <memory>
#include <stop_token>
#include <string>
#include <vector>

#include "search/job/job_options.h"
#include "search/job/observer.h"
#include "search/job/results.h"
#include "search/job/run_folder.h"
#include "search/job/stage_evaluators.h"
#include "search/job/stage_run.h"

namespace longrope {

enum class RunEnd {
  kDone,
  kStopped,      // everything is kept; `resume` goes on
  kWaiting,      // likewise, once the user has put something in place: the observer was told
  kAlreadyDone,  // there was nothing left to do
};

// Runs, or goes on with, `job` in its folder (locked by `folder`). Equal jobs give equal files,
// however often they were stopped. A finished stage is not run again. Throws InputError (FileError
// included) and leaves a folder that can be resumed, or nothing where the run could not begin.
class Pipeline {
 public:
  // Everything outlives the pipeline.
  Pipeline(const Job& job, RunFolder& folder, StageEvaluators& evaluators, RunObserver& observer);
  RunEnd Run(std::stop_token stop);
  // After kDone or kAlreadyDone: the table of all searches, and what the other stages report.
  const std::vector<TableRow>& table() const { return table_; }
  std::string Report() const;

 private:
  RunEnd RunStages(std::stop_token stop);
  // Opens every stage whose sources are finished and says which stage is the last that is not;
  // stages.size() if all are. Throws InputError for one that has begun though they are not.
  size_t OpenStages();
  std::unique_ptr<StageRun> Open(const StageOptions& stage);
  std::unique_ptr<StageRun> OpenSearches(const StageOptions& stage);
  void RefuseIfBegun(const StageOptions& stage, const std::string& source) const;
  void SaveJob() const;
  void SaveResults();

  const Job& job_;
  RunFolder& folder_;
  StageEvaluators& evaluators_;
  RunObserver& observer_;
  StageSources sources_;
  std::vector<std::unique_ptr<StageRun>>
      runs_;  // of each stage; nullptr before its sources are done
  std::vector<TableRow> table_;
};

// Has the stage left anything in the run's folder?
bool HasBegun(const Folder& run, const StageOptions& stage);

}  // namespace longrope
