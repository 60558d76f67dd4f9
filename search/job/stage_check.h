// What can be known to be wrong with a stage before any other has run.
#pragma once

#include <cstdint>
#include <string>

#include "search/job/job_options.h"
#include "search/job/job_texts.h"
#include "search/job/stage_plan.h"

namespace longrope {

// Throws InputError if the stage will not find the texts it is to read, or is to train the base
// model with a method for a length that it reads without, or to hide passkeys in texts that hold no
// prompt. For stages of kind finetune and evaluate the model's config, and for passkeys its
// tokenizer, must be there.
void CheckStageAhead(const Job& job, const StageOptions& stage, const Reading& reading);

// Throws InputError unless a method's length, named by a finetune stage's `factors`, is beyond what
// the model reaches without.
void CheckReaches(const StageOptions& stage, const std::string& name, int64_t target,
                  const StageModel& model);

}  // namespace longrope
