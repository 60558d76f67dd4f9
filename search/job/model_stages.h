// StageEvaluators of a job's own model, on a backend of this machine.
#pragma once

#include <filesystem>
#include <memory>
#include <string>
#include <vector>

#include "eval/scorer.h"
#include "search/job/observer.h"
#include "search/job/stage_evaluators.h"

namespace longrope {

class ModelStages final : public StageEvaluators {
 public:
  // Key tokens that were found are kept in a file of that name, for later processes. Everything
  // outlives it.
  ModelStages(const Job& job, RunObserver& observer, std::filesystem::path key_tokens);
  StageModel ModelAt(const std::string& path) override;
  Evaluator* For(const StageOptions& stage, const std::string& path, std::stop_token stop) override;
  void Release() override;
  std::string FindNonFiniteWeight() override;

 private:
  // Sees to it that folder_ is the model at `path`.
  void Open(const std::string& path);
  void Announce(const StageOptions& stage, const std::vector<Document>& documents) const;
  // Sees to it that scorer_ masks as this stage needs it.
  void BindFor(const StageOptions& stage);
  // Which tokens of the documents count. False if stopped.
  bool MarkScored(const StageOptions& stage, const Tokenizer& tokenizer,
                  std::vector<Document>* documents, std::stop_token stop);
  bool MarkKeyTokens(const StageOptions& stage, const Tokenizer& tokenizer,
                     std::vector<Document>* documents, std::stop_token stop);

  const Job& job_;
  RunObserver& observer_;
  std::unique_ptr<Engine> engine_;
  std::string path_;  // of folder_
  std::unique_ptr<ModelFolder> folder_;
  std::string digest_;  // of folder_; "" until it is needed
  std::filesystem::path key_tokens_;
  std::unique_ptr<Scorer> scorer_;
  bool window_ = false;  // does scorer_ mask beyond the sliding window?
  std::unique_ptr<ModelEvaluator> evaluator_;
};

}  // namespace longrope
