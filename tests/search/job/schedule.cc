#include "tests/search/job/schedule.h"

#include <algorithm>

namespace longrope::testing {

Schedule::Schedule(const std::string& command)
    : job(ReadJob(ScheduleYaml(scratch_ / ".", command), {})) {}

RunEnd Schedule::Start() { return Run(RunFolder::Create(FileSystem::Real(), scratch_ / "run")); }
RunEnd Schedule::Resume() { return Run(RunFolder::Open(FileSystem::Real(), scratch_ / "run")); }

RunEnd Schedule::Run(RunFolder folder) {
  ModelStages stages(job, observer, folder.File(kKeyTokensFile));
  Pipeline pipeline(job, folder, stages, observer);
  return pipeline.Run({});
}

StageOptions& Schedule::Stage(const std::string& name) {
  return *std::ranges::find(job.stages, name, &StageOptions::name);
}

void Schedule::Set(const std::string& setting) {
  job = ReadJob(scratch_ / "schedule.yaml", {setting});
}

}  // namespace longrope::testing
