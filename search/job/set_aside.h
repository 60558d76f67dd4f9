// Asking for a stage once more: what that invalidates, and where it goes.
#pragma once

#include <string>
#include <vector>

#include "search/job/job_options.h"
#include "search/job/run_folder.h"

namespace longrope {

// The stage and all that build on its results, in the order of the job. Throws InputError that
// lists the stages if none has that name.
std::vector<std::string> StagesFrom(const Job& job, const std::string& stage);

// Throws InputError if another stage than these has begun in the run's folder with other keys than
// the job's: before anything is moved.
void CheckKept(const Job& job, const Folder& run, const std::vector<std::string>& stages);

// Moves what these stages left in the run's folder, and the results of the whole run, into a new
// folder aside-1, aside-2, ... of it. Those that build on others go first, so that a run which is
// killed half-way can go on, or be told once more. Returns where they are; "" if nothing was there.
// Throws FileError.
std::string SetAside(const RunFolder& run, const std::vector<std::string>& stages);

}  // namespace longrope
