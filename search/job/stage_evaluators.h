// What a run needs of a model, whoever computes it.
#pragma once

#include <cstdint>
#include <stop_token>
#include <string>

#include "eval/evaluator.h"
#include "eval/rope_factors.h"
#include "search/job/job_options.h"

namespace longrope {

class StageEvaluators {
 public:
  virtual ~StageEvaluators() = default;
  // The model's rotation, its original length known. Throws InputError.
  virtual RopeShape Shape() = 0;
  // Documents drawn, model bound: the fitness documents, then the held-out ones. Valid until the
  // next call; nullptr if stopped. Throws InputError.
  virtual Evaluator* For(const StageOptions& stage, std::stop_token stop) = 0;
  // A weight that is not finite, "" if all are.
  virtual std::string FindNonFiniteWeight() = 0;
};

}  // namespace longrope
