// What a job will cost.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "search/job/job_options.h"
#include "search/job/stage_plan.h"

namespace longrope {

// Can a dry run check a job's texts? If they or the tokenizer are not at hand, a line says so.
bool HasTexts(const Job& job);
// Prints which texts every stage reads, where they are at hand. Throws InputError.
void PrintTexts(const Job& job, int64_t vocab);

// Searches of all stages.
std::vector<StageOptions> AllSearches(const Job& job);
// Two lines and a half: what a search looks for, and with how many evaluations and scores.
std::string SearchText(const StagePlan& plan);
// Documents of that length that an evaluation reads; windows that slide over one take as much as
// the tokens that are new in each, and what stands before them.
double EvaluationPasses(const StageOptions& stage, int64_t length);

struct DryRunOptions {
  double tflops = 400;  // that a GPU is taken to reach
};

// Prints the resolved job, evaluations and scores of every stage, time and memory from a short
// calibration on this machine, FLOPs and GPU-hours (from the shape alone: config.json is enough).
// Writes no file. Returns an exit code; throws InputError for a job that could not run.
int DryRun(const Job& job, const DryRunOptions& options);

}  // namespace longrope
