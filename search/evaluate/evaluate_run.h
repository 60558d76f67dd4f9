// A stage of kind `evaluate` in its folder: protocols of the paper over factors on models.
//
// scores.csv keeps every measurement by a digest of all that it depends on, so that a run that was
// stopped goes on; measurements.csv, table.csv and results.json are made of them at the end.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "eval/scorer.h"
#include "eval/storage/line_cache.h"
#include "eval/text/tokenizer.h"
#include "search/evaluate/evaluation_report.h"
#include "search/evaluate/evaluation_rows.h"
#include "search/job/stage_run.h"

namespace longrope {

// The tables of a finished evaluation in its folder; "" if it is not finished.
std::string EvaluationTextIn(const Folder& folder);

class EvaluateRun final : public StageRun {
 public:
  // Everything given outlives the run; of `evaluators` what models are, and workers. Throws
  // InputError if the folder was begun by another stage, naming the keys.
  EvaluateRun(const StageSources& sources, const StageOptions& stage, const Folder& folder,
              StageEvaluators& evaluators, RunObserver& observer);

  bool IsDone() override;
  bool Prepare(std::stop_token stop) override;
  StageEnd Run(std::stop_token stop) override;
  std::string Report() const override;

 private:
  // A model that is bound (`source` and `scorer`, or workers), and what its scores depend on.
  struct Bound {
    std::string path, text;
    std::unique_ptr<ModelSource> source;
    std::unique_ptr<Scorer> scorer;
  };

  // Sees to it that workers have scored a cell on all documents, many at a time. False if stopped.
  bool MeasureByWorkers(const EvaluationCell& cell, std::stop_token stop);
  // Engine (none where there are workers), tokenizer, documents. Throws Stopped.
  void OpenTexts(std::stop_token stop);
  bool Asks(const std::string& protocol) const;
  int64_t SlidingTokens() const;
  // Tokens of the documents.
  int64_t Longest() const;
  void Bind(const std::string& name, const std::string& path);
  void PlanCells();
  // False if stopped.
  bool Measure(EvaluationCell* cell, std::stop_token stop);
  // nullopt if stopped.
  std::optional<Measurement> MeasureOne(const EvaluationCell& cell, size_t index,
                                        std::stop_token stop) const;
  std::optional<Measurement> MeasureSliding(const EvaluationCell& cell, size_t index,
                                            std::stop_token stop) const;
  std::optional<Measurement> MeasurePasskey(const EvaluationCell& cell, size_t index,
                                            std::stop_token stop) const;
  std::string KeyOf(const EvaluationCell& cell, size_t index) const;
  size_t CountOf(const EvaluationCell& cell) const;
  void SaveResults();

  const StageSources& sources_;
  const StageOptions& stage_;
  Folder folder_;
  StageEvaluators& evaluators_;
  RunObserver& observer_;
  std::unique_ptr<Engine> engine_;
  std::unique_ptr<Tokenizer> tokenizer_;  // of passkeys
  std::vector<EvaluationRow> rows_;
  std::vector<EvaluationCell> cells_;
  EvaluationFacts facts_;
  std::optional<LineCache> cache_;
  Bound bound_;
};

}  // namespace longrope
