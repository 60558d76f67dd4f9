// Running a job in its folder, for `search` and `resume`.
#pragma once

#include <string>
#include <vector>

#include "search/job/job_options.h"
#include "search/job/run_folder.h"

namespace longrope {

// Runs what is left of the job until it is done or a signal stops it, tells people where the result
// is; returns an exit code.
int RunJob(const Job& job, RunFolder folder);

// Options of the command line that stand for settings of the job.
struct JobArguments {
  std::vector<std::string> settings;  // --set
  std::string backend;                // --backend
  int threads = -1;                   // --threads

  // All as settings, --set first.
  std::vector<std::string> All() const;
};

}  // namespace longrope
