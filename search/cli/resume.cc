#include <algorithm>
#include <memory>

#include "eval/errors.h"
#include "eval/storage/file_system.h"
#include "search/cli/command.h"
#include "search/cli/console.h"
#include "search/cli/job_arguments.h"
#include "search/job/job_file.h"
#include "search/job/set_aside.h"
#include "search/job/suggest.h"

namespace longrope {
namespace {

struct Arguments {
  std::string folder;
  std::string from;  // stage that is to be run again, "" for none
  JobArguments overrides;
};

// Sets the stage aside, and all that builds on it: what they were is no longer `before`'s.
void Forget(Job* before, const Job& job, const std::string& from, const RunFolder& folder) {
  const auto stages = StagesFrom(job, from);
  const std::string aside = SetAside(folder, stages);
  LogMessage(aside.empty() ? "nothing of " + Joined(stages) + " was there"
                           : "set aside in " + aside + ": " + Joined(stages));
  for (StageOptions& stage : before->stages) {
    if (std::ranges::find(stages, stage.name) == stages.end()) continue;
    const auto now = std::ranges::find(job.stages, stage.name, &StageOptions::name);
    if (now != job.stages.end()) stage = *now;
  }
}

int Run(const Arguments& arguments) {
  const std::filesystem::path path = std::filesystem::absolute(arguments.folder).lexically_normal();
  RunFolder folder = RunFolder::Open(FileSystem::Real(), path);
  Job before = ReadJob(folder.File(kJobFile), {});
  for (const std::string& setting : arguments.overrides.settings) {
    if (!setting.starts_with("output.")) continue;
    throw InputError("--set " + setting +
                     ": a run stays in its folder (the folder itself may be "
                     "moved)");
  }
  Job job = ReadJob(folder.File(kJobFile), arguments.overrides.All());
  job.output.folder = path.string();  // the run may have been moved
  if (!arguments.from.empty()) Forget(&before, job, arguments.from, folder);
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
  command->add_option("--from", arguments->from,
                      "Run this stage again, and all that build on it: what they left is moved "
                      "into a folder aside-N of the run");
  AddJobArguments(*command, &arguments->overrides);
  command->callback([=] { *action = [=] { return Run(*arguments); }; });
}

}  // namespace longrope
