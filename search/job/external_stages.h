// StageEvaluators whose scores come from worker processes: any model, whatever it is computed with.
#pragma once

#include <memory>
#include <string>

#include "eval/external/external_evaluator.h"
#include "search/job/job_texts.h"
#include "search/job/observer.h"
#include "search/job/stage_evaluators.h"

namespace longrope {

// Documents are drawn and made tokens here, by the tokenizer in the job's model folder, of which
// nothing else is read. The rotation and the factors of the model are what the workers say.
class ExternalStages final : public StageEvaluators {
 public:
  // Everything outlives it.
  ExternalStages(const Job& job, RunObserver& observer, WorkerTeam& team)
      : job_(job), observer_(observer), team_(team), texts_(job, ListenerOf(observer)) {}
  // Every path is that of the job's model: workers have no other.
  StageModel ModelAt(const std::string& path) override;
  Evaluator* For(const StageOptions& stage, const std::string& path, std::stop_token stop) override;
  // The memory is the workers'.
  void Release() override {}
  WorkerTeam* Workers() override { return &team_; }
  // The weights are theirs, too.
  std::string FindNonFiniteWeight() override { return ""; }

 private:
  const Job& job_;
  RunObserver& observer_;
  WorkerTeam& team_;
  JobTexts texts_;
  std::unique_ptr<ExternalEvaluator> evaluator_;
};

// What a search needs to know of the model of workers. Throws InputError if neither they nor the
// job know its original length.
StageModel StageModelOf(const WorkerHello& hello, const ModelOptions& options);

}  // namespace longrope
