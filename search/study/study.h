// Runs a study: cell by cell, resumable, scores shared.
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <stop_token>
#include <vector>

#include "eval/storage/file_system.h"
#include "search/job/checkpoint.h"
#include "search/job/observer.h"
#include "search/job/stage_evaluators.h"
#include "search/study/cell_result.h"
#include "search/study/score_cache.h"
#include "search/study/study_file.h"

namespace longrope {

// Files of a study's folder, beside cells/ with a run folder for each search.
inline constexpr const char* kStudyFile = "study.yaml";
inline constexpr const char* kCurveFile = "curve.csv";
inline constexpr const char* kSummaryFile = "summary.csv";
inline constexpr const char* kScoresFile = "scores.csv";

class StudyRunner {
 public:
  // Evaluators for a cell's job.
  using MakeStages =
      std::function<std::unique_ptr<StageEvaluators>(const Job& job, RunObserver& observer)>;
  // Everything outlives the runner.
  StudyRunner(const Study& study, FileSystem& files, MakeStages make_stages, RunObserver& observer);

  // Runs what is left of every cell and writes curve.csv and summary.csv after each. Results in the
  // order of the cells; nullopt if stopped: run again to go on. Throws InputError; what was found
  // stays.
  std::optional<std::vector<CellResult>> Run(std::stop_token stop);

 private:
  // Throws InputError for a cell that does not fit the model, before anything is scored.
  void CheckCells();
  // nullopt if stopped.
  std::optional<CellResult> RunCell(const StudyCell& cell, std::stop_token stop);
  // Held-out scores of every point: from the cache, else from `cached`. False if stopped.
  bool ScorePoints(const StagePlan& plan, const StageState& state, const std::string& where,
                   const std::string& path, CachedStages& cached, std::vector<CellPoint>* points,
                   std::stop_token stop);
  void SaveResults(const std::vector<CellResult>& results) const;

  const Study& study_;
  FileSystem& files_;
  MakeStages make_stages_;
  RunObserver& observer_;
  std::optional<ScoreCache> cache_;
};

}  // namespace longrope
