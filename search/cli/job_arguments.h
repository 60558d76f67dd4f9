// Options of `search` and `resume` on the command line.
#pragma once

#include "search/cli/command.h"
#include "search/cli/run_job.h"

namespace longrope {

inline void AddJobArguments(CLI::App& command, JobArguments* arguments) {
  command
      .add_option("--set", arguments->settings,
                  "key=value over the job file, as output.folder=results/x or "
                  "stages.NAME.generations=10; one a --set, which may be repeated")
      ->take_all()
      ->type_name("KEY=VALUE")
      ->allow_extra_args(false);
  command.add_option("--backend", arguments->backend, "As backend.name of the job");
  command.add_option("--threads", arguments->threads, "As backend.threads of the job")
      ->check(CLI::Range(0, 1024));
}

}  // namespace longrope
