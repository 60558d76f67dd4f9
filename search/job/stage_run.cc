#include "search/job/stage_run.h"

#include <algorithm>
#include <charconv>
#include <sstream>

#include "search/finetune/finetune_run.h"
#include "search/job/factors_name.h"
#include "search/job/job_file.h"

namespace longrope {

const StageOptions& StageSources::Stage(const std::string& name) const {
  return *std::ranges::find(job_.stages, name, &StageOptions::name);
}

std::string StageSources::ModelPath(const std::string& name) const {
  if (name == kBaseModel) return job_.model.path;
  return FinetunedModel(run_.Sub(name), Stage(name)).string();
}

FactorFile StageSources::FactorsOf(const std::string& stage) const {
  return ReadFactorFile(run_.Sub(stage).File(kFactorsFile));
}

std::string TimeLine(const std::string& stage, int64_t candidate, size_t document, double seconds) {
  std::ostringstream line;
  line << stage << ',' << candidate << ',' << document << ',' << seconds << '\n';
  return line.str();
}

double SecondsIn(const std::string& times) {
  std::istringstream lines(times);
  double seconds = 0;
  for (std::string line; std::getline(lines, line);) {
    if (std::ranges::count(line, ',') != 3) continue;
    const char* begin = line.data() + line.rfind(',') + 1;
    double value = 0;
    std::from_chars(begin, line.data() + line.size(), value);
    seconds += value;
  }
  return seconds;
}

void CheckStageFile(const Folder& folder, const Job& job) {
  constexpr int64_t kMaxBytes = 1 << 20;
  const auto path = folder.File(kStageFile);
  if (folder.Has(kStageFile)) CheckIdentity(ReadFile(path, kMaxBytes), job, path.string());
}

std::vector<StageOptions> SearchesOf(const StageOptions& stage) {
  if (stage.kind != "readjust") return {stage};
  std::vector<StageOptions> searches;
  for (int64_t length : stage.lengths) {
    StageOptions& search = searches.emplace_back(stage);
    search.name += "-" + std::to_string(length);
    search.length = length;
    search.lengths = {length};
  }
  return searches;
}

Folder SearchFolder(const Folder& run, const StageOptions& stage, const StageOptions& search) {
  const Folder folder = run.Sub(stage.name);
  return stage.kind == "readjust" ? folder.Sub(std::to_string(search.length)) : folder;
}

namespace {

// Tokens that the factors of a fine-tune's last leg reach.
int64_t ReachOf(const Job& job, const StageOptions& stage) {
  const FactorsName name = ParseFactorsName(stage.finetune.factors.back(), "factors");
  return name.method ? name.target
                     : std::ranges::find(job.stages, name.stage, &StageOptions::name)->length;
}

}  // namespace

StageModel ForeseenModel(const Job& job, const StageOptions& stage, const StageModel& base) {
  const auto named = [&](const std::string& name) {
    return std::ranges::find(job.stages, name, &StageOptions::name);
  };
  int64_t reach = 0;
  if (stage.model != kBaseModel) reach = ReachOf(job, *named(stage.model));
  if (!stage.extends.empty()) reach = named(stage.extends)->length;
  if (reach == 0) return base;
  const double ratio = static_cast<double>(reach) / static_cast<double>(base.shape.original_length);
  StageModel model = base;
  model.given = {reach, MethodFactors(RopeMethod::kPi, base.shape, ratio, reach)};
  return model;
}

std::vector<std::string> SourcesOf(const StageOptions& stage) {
  std::vector<std::string> sources;
  const auto add = [&](const std::string& name) {
    if (!name.empty() && name != kBaseModel) sources.push_back(name);
  };
  add(stage.model);
  add(stage.extends);
  for (const auto* names : {&stage.finetune.factors, &stage.evaluate.rows}) {
    for (const std::string& text : *names) {
      const FactorsName name = ParseFactorsName(text, "");
      add(name.model);
      add(name.stage);
    }
  }
  return sources;
}

}  // namespace longrope
