// StageEvaluators of a job's own model, on a backend of this machine.
#pragma once

#include <filesystem>
#include <memory>
#include <string>
#include <vector>

#include "eval/scorer.h"
#include "search/job/job_texts.h"
#include "search/job/observer.h"
#include "search/job/stage_evaluators.h"

namespace longrope {

class ModelStages final : public StageEvaluators {
 public:
  // Key tokens that were found are kept in a file of that name, for later processes. `engines`: of
  // one kind, one a device; none: those of the job's backend. Everything outlives it.
  ModelStages(const Job& job, RunObserver& observer, std::filesystem::path key_tokens,
              std::vector<std::unique_ptr<Engine>> engines = {});
  StageModel ModelAt(const std::string& path) override;
  Evaluator* For(const StageOptions& stage, const std::string& path, std::stop_token stop) override;
  void Release() override;
  std::string FindNonFiniteWeight() override;

 private:
  // Sees to it that folder_ is the model at `path`.
  void Open(const std::string& path);
  // Sees to it that the model is bound on every device, and masks as this stage needs it.
  void BindFor(const StageOptions& stage);
  std::unique_ptr<Evaluator> EvaluatorOf(std::vector<Document> documents);
  // Leaves out engines whose device was lost. Throws the last loss if none is left.
  void DropLost();
  // Marks an engine, and says so; any thread, one at a time.
  void OnLost(size_t engine, const std::string& why);
  // Which tokens of the documents count. False if stopped.
  bool MarkScored(const StageOptions& stage, const Tokenizer* tokenizer,
                  std::vector<Document>* documents, std::stop_token stop);
  bool MarkKeyTokens(const StageOptions& stage, const Tokenizer& tokenizer,
                     std::vector<Document>* documents, std::stop_token stop);

  const Job& job_;
  RunObserver& observer_;
  JobTexts texts_;
  std::vector<std::unique_ptr<Engine>> engines_;  // one a device
  std::vector<size_t> lost_;                      // of engines_
  bool all_lost_ = false;  // another kind of engine would not give the same scores
  std::string path_;       // of source_
  std::unique_ptr<ModelSource> source_;
  std::string digest_;  // of source_; "" until it is needed
  std::filesystem::path key_tokens_;
  std::vector<std::unique_ptr<Scorer>> scorers_;  // of each engine; none where nothing is bound
  bool window_ = false;                           // do they mask beyond the sliding window?
  int64_t longest_ = 0;  // tokens of the longest document that they are bound for
  std::unique_ptr<Evaluator> evaluator_;
};

}  // namespace longrope
