// What a job will cost.
#pragma once

#include "search/job/job_options.h"

namespace longrope {

// Prints the resolved job, evaluations and scores of every stage, and time and memory from a short
// calibration on this machine (from the shape alone: config.json is enough). Writes no file.
// Returns an exit code; throws InputError for a job that could not run.
int DryRun(const Job& job);

}  // namespace longrope
