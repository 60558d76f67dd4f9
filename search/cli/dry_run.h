// What a job will cost.
#pragma once

#include <memory>

#include "eval/model/model_config.h"
#include "eval/text/tokenizer.h"
#include "search/job/job_options.h"

namespace longrope {

// The tokenizer of a job whose texts a dry run can check; nullptr, and a line that says so, where
// they or the tokenizer are not at hand.
std::unique_ptr<Tokenizer> TokenizerForTexts(const Job& job, const ModelConfig& config);

struct DryRunOptions {
  double tflops = 400;  // that a GPU is taken to reach
};

// Prints the resolved job, evaluations and scores of every stage, time and memory from a short
// calibration on this machine, FLOPs and GPU-hours (from the shape alone: config.json is enough).
// Writes no file. Returns an exit code; throws InputError for a job that could not run.
int DryRun(const Job& job, const DryRunOptions& options);

}  // namespace longrope
