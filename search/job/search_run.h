// A search in its folder: made durable, gone on with, its results written.
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "search/job/checkpoint.h"
#include "search/job/stage_run.h"

namespace longrope {

class SearchRun final : public StageRun {
 public:
  // `job` has the search as its one stage; `path`: folder of the model. Loads what `folder` holds.
  // `evaluators` and `observer` outlive the run. Throws InputError for a job that the folder's
  // scores do not belong to, or that does not fit the model.
  SearchRun(Job job, std::string path, const StageModel& model, const Folder& folder,
            StageEvaluators& evaluators, RunObserver& observer);

  bool IsDone() override;
  bool HasBegun() const { return !record_.state.fingerprint.empty(); }
  bool Prepare(std::stop_token stop) override;
  // After Prepare.
  StageEnd Run(std::stop_token stop) override;
  std::vector<StageView> Views() const override { return {{plan_, record_.state}}; }

  const Folder& folder() const { return folder_; }
  std::string JobDigest() const;

 private:
  const StageOptions& Stage() const { return job_.stages.front(); }
  uint64_t Seed() const { return static_cast<uint64_t>(job_.seed); }
  void LoadCheckpoint(const StageModel& model);
  void SaveCheckpoint() const;
  void SaveHistory() const;
  void SaveResults() const;
  // Spent by earlier processes, from times.csv; 0 where no budget asks for it.
  double HoursBefore() const;

  Job job_;
  std::string path_;
  Folder folder_;
  StageEvaluators& evaluators_;
  RunObserver& observer_;
  StageRecord record_;
  StagePlan plan_;
  Evaluator* evaluator_ = nullptr;
};

// One or more searches as a readjustment: results are the factors by length, the extended ones
// behind them.
class ReadjustRun final : public StageRun {
 public:
  // `extended`: what the searches complement.
  // `job` has the readjustment as its one stage. Throws InputError if the folder was begun by
  // another one, naming the keys.
  ReadjustRun(std::vector<std::unique_ptr<SearchRun>> searches, FactorFile extended,
              const Folder& folder, const Job& job);

  bool IsDone() override;
  bool Prepare(std::stop_token stop) override;
  StageEnd Run(std::stop_token stop) override;
  std::vector<StageView> Views() const override;

 private:
  std::vector<std::unique_ptr<SearchRun>> searches_;
  FactorFile extended_;
  Folder folder_;
  std::string identity_;
};

}  // namespace longrope
