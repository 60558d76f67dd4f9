// The job of schedule_yaml.h, run by a Pipeline.
#pragma once

#include <filesystem>
#include <memory>
#include <string>

#include "search/job/job_file.h"
#include "search/job/model_stages.h"
#include "search/job/pipeline.h"
#include "tests/search/job/small_run.h"
#include "tests/support/schedule_yaml.h"
#include "tests/support/temp_folder.h"

namespace longrope::testing {

// The schedule in a folder of its own.
class Schedule {
  ScratchFolder scratch_;

 public:
  explicit Schedule(const std::string& command = kCopy);

  Job job;
  KeepingObserver observer;

  RunEnd Start();
  RunEnd Resume();
  std::filesystem::path Path(const std::string& name) const { return scratch_ / "run" / name; }
  const std::filesystem::path folder() const { return scratch_ / "."; }
  StageOptions& Stage(const std::string& name);
  // "--set" of a resume.
  void Set(const std::string& setting);

 private:
  RunEnd Run(RunFolder folder);
};

}  // namespace longrope::testing
