// What a job will cost whose scores come from workers.
#pragma once

#include "eval/external/protocol.h"
#include "search/job/job_options.h"

namespace longrope {

// What one worker of the job says of itself: it is started, and ended. Throws InputError.
WorkerHello HelloOf(const BackendJobOptions& backend);

// As DryRun, without times, memory and FLOPs: these are the workers'.
int DryRunOfWorkers(const Job& job);

}  // namespace longrope
