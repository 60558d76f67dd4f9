#include <memory>

#include "eval/errors.h"
#include "eval/storage/file_system.h"
#include "search/cli/command.h"
#include "search/cli/job_arguments.h"
#include "search/job/job_file.h"
#include "search/job/suggest.h"

namespace longrope {
namespace {

struct Arguments {
  std::string folder;
  JobArguments overrides;
};

int Run(const Arguments& arguments) {
  const std::filesystem::path path = std::filesystem::absolute(arguments.folder).lexically_normal();
  RunFolder folder = RunFolder::Open(FileSystem::Real(), path);
  const Job before = ReadJob(folder.File(kJobFile), {});
  for (const std::string& setting : arguments.overrides.settings) {
    if (!setting.starts_with("output.")) continue;
    throw InputError("--set " + setting +
                     ": a run stays in its folder (the folder itself may be "
                     "moved)");
  }
  Job job = ReadJob(folder.File(kJobFile), arguments.overrides.All());
  job.output.folder = path.string();  // the run may have been moved
  const auto lowered = LoweredBudgets(before, job);
  if (!lowered.empty()) {
    throw InputError(folder.File(kJobFile).string() + ": " + Joined(lowered) +
                     ": a budget of a run that has begun may be raised, not lowered");
  }
  return RunJob(job, std::move(folder));
}

}  // namespace

void AddResume(CLI::App& app, Action* action) {
  auto arguments = std::make_shared<Arguments>();
  CLI::App* command = app.add_subcommand("resume", "Go on with a run that was stopped or killed");
  command->add_option("run", arguments->folder, "Folder of the run")->required();
  AddJobArguments(*command, &arguments->overrides);
  command->callback([=] { *action = [=] { return Run(*arguments); }; });
}

}  // namespace longrope
