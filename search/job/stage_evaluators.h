// What a run needs of a model, whoever computes it.
#pragma once

#include <cstdint>
#include <stop_token>
#include <string>

#include "eval/evaluator.h"
#include "eval/external/worker_team.h"
#include "search/job/stage_plan.h"

namespace longrope {

class StageEvaluators {
 public:
  virtual ~StageEvaluators() = default;
  // Rotation of the model in a folder, its original length known, and the factors that its config
  // carries. Throws InputError.
  virtual StageModel ModelAt(const std::string& path) = 0;
  // Documents drawn, the model at `path` bound: the fitness documents, then the held-out ones.
  // Valid until the next call; nullptr if stopped. Throws InputError.
  virtual Evaluator* For(const StageOptions& stage, const std::string& path,
                         std::stop_token stop) = 0;
  // Gives back the memory of the model that was bound, until For is called again.
  virtual void Release() = 0;
  // Who scores instead of a model that is bound here; nullptr where nobody does.
  virtual WorkerTeam* Workers() { return nullptr; }
  // A weight that is not finite of the model that was bound last, "" if all are.
  virtual std::string FindNonFiniteWeight() = 0;
};

}  // namespace longrope
