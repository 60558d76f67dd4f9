#include "search/job/set_aside.h"

#include <algorithm>

#include "eval/errors.h"
#include "search/job/checkpoint.h"
#include "search/job/job_file.h"
#include "search/job/stage_run.h"
#include "search/job/suggest.h"

namespace longrope {
namespace fs = std::filesystem;
namespace {

Folder NewAside(const Folder& run) {
  for (int number = 1;; ++number) {
    Folder aside = run.Sub("aside-" + std::to_string(number));
    if (!fs::exists(aside.path())) return aside;
  }
}

void Move(const Folder& run, const Folder& aside, std::string_view name) {
  if (run.files().Rename(run.File(name).string(), aside.File(name).string()) != 0) {
    ThrowFileError(run.File(name), "cannot be moved");
  }
}

}  // namespace

std::vector<std::string> StagesFrom(const Job& job, const std::string& stage) {
  std::vector<std::string> from, names;
  for (const StageOptions& options : job.stages) {
    names.push_back(options.name);
    const auto sources = SourcesOf(options);
    const bool builds = std::ranges::find_first_of(sources, from) != sources.end();
    if (options.name == stage || builds) from.push_back(options.name);
  }
  if (from.empty()) {
    throw InputError("--from " + stage + ": no stage has that name; allowed: " + Joined(names));
  }
  return from;
}

void CheckKept(const Job& job, const Folder& run, const std::vector<std::string>& stages) {
  for (const StageOptions& stage : job.stages) {
    if (std::ranges::find(stages, stage.name) != stages.end()) continue;
    CheckStageFile(run.Sub(stage.name), StageJob(job, stage));
    if (!stage.Searches()) continue;
    for (const StageOptions& search : SearchesOf(stage)) {
      LoadNewestCheckpoint(SearchFolder(run, stage, search).path(), StageJob(job, search),
                           [](const std::string&) {});
    }
  }
}

std::string SetAside(const RunFolder& run, const std::vector<std::string>& stages) {
  std::vector<std::string> there;
  for (std::string_view name : {kFactorsFile, kTableFile}) {
    if (run.Has(name)) there.emplace_back(name);
  }
  for (auto stage = stages.rbegin(); stage != stages.rend(); ++stage) {
    if (run.Has(*stage)) there.push_back(*stage);
  }
  if (there.empty()) return "";
  const Folder aside = NewAside(run);
  aside.Make();
  for (const std::string& name : there) Move(run, aside, name);
  return aside.path().string();
}

}  // namespace longrope
