#include "tests/search/job/small_run.h"

#include <cstdlib>
#include <stdexcept>
#include <utility>

#include "tests/support/temp_folder.h"

namespace longrope::testing {
namespace fs = std::filesystem;

ScratchFolder::ScratchFolder() {
  const fs::path memory = "/dev/shm";
  std::string name =
      ((fs::is_directory(memory) ? memory : fs::temp_directory_path()) / "longrope.XXXXXX")
          .string();
  if (mkdtemp(name.data()) == nullptr) throw std::runtime_error("no temporary folder");
  path_ = name;
}

ScratchFolder::~ScratchFolder() {
  std::error_code ignored;
  fs::remove_all(path_, ignored);
}

Job SmallJob(const fs::path& folder) {
  Job job;
  job.name = "small";
  job.seed = 5;
  job.model.path = "/nowhere/model";
  job.data.path = "/nowhere/books";
  job.output.folder = folder.string();
  StageOptions& stage = job.stages.emplace_back();
  stage.name = "extend";
  stage.kind = "search";
  stage.model = kBaseModel;
  stage.length = 2048;
  stage.documents = 2;
  stage.held_out = 1;
  stage.evolution.population = 6;
  stage.evolution.generations = 3;
  stage.evolution.mutations = stage.evolution.crossovers = 2;
  stage.evolution.parents = 4;
  return job;
}

Job TinyJob(const fs::path& folder) {
  Job job = SmallJob(folder);
  StageOptions& stage = job.stages[0];
  stage.documents = 1;
  stage.seeds = {"pi", "yarn"};
  stage.evolution.population = stage.evolution.parents = 2;
  stage.evolution.mutations = stage.evolution.crossovers = 1;
  stage.attention = "none";  // of the methods only YaRN has another m: six baselines
  return job;
}

RunEnd SmallRun::Start() { return Run(RunFolder::Create(*files, job.output.folder)); }
RunEnd SmallRun::Resume() { return Run(RunFolder::Open(*files, job.output.folder)); }
RunEnd SmallRun::Continue() { return fs::exists(Path(kJobFile)) ? Resume() : Start(); }

fs::path SmallRun::Path(std::string_view name) const {
  const fs::path folder = job.output.folder;
  for (std::string_view own : {kJobFile, kLogFile, kLockFile, kFactorsFile, kTableFile,
                               kPreviousFactorsFile, kPreviousTableFile, kKeyTokensFile}) {
    if (name == own) return folder / name;
  }
  return folder / job.stages.front().name / name;
}

RunEnd SmallRun::Run(RunFolder folder) {
  Pipeline pipeline(job, folder, stages, observer);
  const RunEnd end = pipeline.Run({});
  table = pipeline.table();
  return end;
}

std::map<std::string, std::string> FinalFiles(const fs::path& folder) {
  std::map<std::string, std::string> files;
  for (const auto& entry : fs::recursive_directory_iterator(folder)) {
    for (std::string_view name :
         {kHistoryFile, kCheckpointFile, kFactorsFile, kTableFile, kBestFile}) {
      if (entry.path().filename() != name) continue;
      files[fs::relative(entry.path(), folder).string()] = SlurpFile(entry.path());
    }
  }
  return files;
}

std::map<std::string, std::string> UndisturbedFiles(Job job) {
  const ScratchFolder scratch;
  job.output.folder = (scratch / "undisturbed").string();
  SmallRun run(std::move(job));
  if (run.Start() != RunEnd::kDone) throw std::runtime_error("the undisturbed run did not end");
  return FinalFiles(run.job.output.folder);
}

}  // namespace longrope::testing
