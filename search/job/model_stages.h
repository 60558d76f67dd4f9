// StageEvaluators of a job's own model, on a backend of this machine.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "eval/scorer.h"
#include "search/job/observer.h"
#include "search/job/stage_evaluators.h"

namespace longrope {

// What a job says over a model's config.
ConfigOverrides OverridesOf(const ModelOptions& options);

// The stage's fitness documents, then its held-out ones: a seeded draw, no book twice.
// Throws InputError with the counts by length if there are too few books.
std::vector<Document> DrawStageDocuments(const Job& job, const StageOptions& stage,
                                         const Tokenizer& tokenizer);

class ModelStages final : public StageEvaluators {
 public:
  // Both outlive it.
  ModelStages(const Job& job, RunObserver& observer);
  RopeShape Shape() override;
  Evaluator& For(const StageOptions& stage) override;
  std::string FindNonFiniteWeight() override;

 private:
  ModelFolder& Folder();

  const Job& job_;
  RunObserver& observer_;
  std::unique_ptr<Engine> engine_;
  std::unique_ptr<ModelFolder> folder_;
  std::string digest_;
  std::unique_ptr<Scorer> scorer_;
  bool window_ = false;  // does scorer_ mask beyond the sliding window?
  std::unique_ptr<ModelEvaluator> evaluator_;
};

}  // namespace longrope
