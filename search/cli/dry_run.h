// What a job will cost.
#pragma once

#include <memory>

#include "eval/model/model_config.h"
#include "search/job/job_options.h"

namespace longrope {

// Can a dry run check a job's texts? If they or the tokenizer are not at hand, a line says so.
bool HasTexts(const Job& job);

struct DryRunOptions {
  double tflops = 400;  // that a GPU is taken to reach
};

// Prints the resolved job, evaluations and scores of every stage, time and memory from a short
// calibration on this machine, FLOPs and GPU-hours (from the shape alone: config.json is enough).
// Writes no file. Returns an exit code; throws InputError for a job that could not run.
int DryRun(const Job& job, const DryRunOptions& options);

}  // namespace longrope
