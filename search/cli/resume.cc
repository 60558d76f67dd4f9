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

// Of stages that are run again, what they were no longer counts.
void Forget(Job* before, const Job& job, const std::vector<std::string>& stages) {
  for (StageOptions& stage : before->stages) {
    if (std::ranges::find(stages, stage.name) == stages.end()) continue;
    const auto now = std::ranges::find(job.stages, stage.name, &StageOptions::name);
    if (now != job.stages.end()) stage = *now;
  }
}

// The job comes first: a kill between the two leaves a run that is refused by name, or told --from
// once more, and never one that goes on with the keys of before.
void StartOver(const Job& job, const RunFolder& folder, const std::vector<std::string>& stages) {
  CheckKept(job, folder, stages);
  folder.Replace(kJobFile, JobText(job));
  const std::string aside = SetAside(folder, stages);
  LogMessage(aside.empty() ? "nothing of " + Joined(stages) + " was there"
                           : "set aside in " + aside + ": " + Joined(stages));
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
  std::vector<std::string> again;     // stages that are run once more
  if (!arguments.from.empty()) again = StagesFrom(job, arguments.from);
  Forget(&before, job, again);
  const auto lowered = LoweredBudgets(before, job);
  if (!lowered.empty()) {
    throw InputError(folder.File(kJobFile).string() + ": " + Joined(lowered) +
                     ": a budget of a run that has begun may be raised, not lowered");
  }
  if (!again.empty()) StartOver(job, folder, again);
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
