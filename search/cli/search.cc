#include <memory>

#include "eval/storage/file_system.h"
#include "search/cli/command.h"
#include "search/cli/dry_run.h"
#include "search/cli/job_arguments.h"
#include "search/job/job_file.h"

namespace longrope {
namespace {

struct Arguments {
  std::string job;
  JobArguments overrides;
  bool dry_run = false;
  DryRunOptions dry;
};

int Run(const Arguments& arguments) {
  const Job job = ReadJob(arguments.job, arguments.overrides.All());
  if (arguments.dry_run) return DryRun(job, arguments.dry);
  return RunJob(job, RunFolder::Create(FileSystem::Real(), job.output.folder));
}

}  // namespace

void AddSearch(CLI::App& app, Action* action) {
  auto arguments = std::make_shared<Arguments>();
  CLI::App* command = app.add_subcommand("search", "Run a job: search, score, write factors");
  command->add_option("job", arguments->job, "Job file (YAML; configs/ explains every key)")
      ->required();
  AddJobArguments(*command, &arguments->overrides);
  command->add_flag("--dry-run", arguments->dry_run,
                    "Print the resolved job, its evaluations, and time and memory on this machine");
  command
      ->add_option("--tflops", arguments->dry.tflops,
                   "TFLOP/s that a GPU is taken to reach in the dry run's GPU-hours (default 400)")
      ->check(CLI::Range(0.001, 1e6));
  command->callback([=] { *action = [=] { return Run(*arguments); }; });
}

}  // namespace longrope
