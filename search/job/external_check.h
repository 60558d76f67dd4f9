// What a job whose scores come from workers may ask for.
#pragma once

#include "search/job/job_options.h"
#include "search/job/yaml_tree.h"

namespace longrope {

// `tree`: what the job was read from. Throws InputError "file:line: key: ..." for what workers do
// not do, or would not be told, and for keys of workers where there are none.
void CheckWorkerJob(const Job& job, const YamlNode& tree);

// "backend.command: null", as --set says it, has an engine of this program compute what workers
// did: what else the tree says of them is not for it.
void ForgetWorkersOf(const YamlNode& tree, BackendJobOptions* backend);

}  // namespace longrope
