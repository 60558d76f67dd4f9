// What an evaluation compares: factors on models.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "eval/factor_set.h"
#include "eval/model/rope_scaling.h"
#include "eval/rope_methods.h"
#include "search/job/stage_run.h"

namespace longrope {

struct EvaluationRow {
  std::string label;                 // as the job says it
  std::string model, path;           // "base" or a finetune stage, and its folder
  StageModel on;                     // that model
  std::optional<OwnFactors> own;     // that it carries
  std::optional<FactorSet> factors;  // of a stage
  std::optional<RopeMethod> method;  // else a closed form,
  int64_t target = 0;                // made for so many tokens; 0: for the length at hand
  YarnOptions yarn;

  // For texts of `length` tokens; a file's buckets are honoured.
  RopeFactors For(int64_t length) const;
};

// A row of the job's list. Throws InputError if its stage left no factors.
EvaluationRow RowOf(const std::string& text, const StageSources& sources, const StageOptions& stage,
                    StageEvaluators& evaluators);

}  // namespace longrope
