#include "search/job/pipeline.h"

#include <algorithm>
#include <filesystem>
#include <utility>

#include "eval/errors.h"
#include "eval/storage/digest.h"
#include "search/evaluate/evaluate_run.h"
#include "search/finetune/finetune_run.h"
#include "search/job/job_file.h"
#include "search/job/job_texts.h"
#include "search/job/search_run.h"
#include "search/job/stage_check.h"

namespace longrope {

Pipeline::Pipeline(const Job& job, RunFolder& folder, StageEvaluators& evaluators,
                   RunObserver& observer)
    : job_(job),
      folder_(folder),
      evaluators_(evaluators),
      observer_(observer),
      sources_(job, folder) {}

RunEnd Pipeline::Run(std::stop_token stop) {
  const auto begun = [this] {
    return std::ranges::any_of(job_.stages,
                               [&](const auto& stage) { return HasBegun(folder_, stage); });
  };
  try {
    // A job that the run refuses must not become its job: where something has begun, it is checked
    // first.
    if (!begun()) SaveJob();
    return RunStages(std::move(stop));
  } catch (const Stopped&) {
    return RunEnd::kStopped;
  } catch (const std::exception&) {
    if (!begun()) folder_.Abandon();
    throw;
  }
}

RunEnd Pipeline::RunStages(std::stop_token stop) {
  const size_t last = OpenStages();
  if (last == job_.stages.size()) {
    SaveResults();
    return RunEnd::kAlreadyDone;
  }
  JobTexts texts(job_, ListenerOf(observer_));
  for (size_t i = 0; i <= last; ++i) {  // not after hours of the stages before it
    const StageOptions& stage = job_.stages[i];
    // What a search reads is for its evaluator to find.
    if (!stage.Searches() && !HasBegun(folder_, stage)) {
      CheckStageAhead(job_, stage, texts.Titles(stop));
    }
  }
  for (size_t i = 0; i <= last; ++i) {
    if (!runs_[i]) runs_[i] = Open(job_.stages[i]);
    // Of a finished stage too: its factors stand beside those of the stages to come.
    if (!runs_[i]->Prepare(stop)) return RunEnd::kStopped;
    SaveJob();
    if (runs_[i]->IsDone()) continue;
    folder_.SetResultsAside();
    if (!job_.stages[i].Searches()) evaluators_.Release();
    const StageEnd end = runs_[i]->Run(stop);
    if (end == StageEnd::kWaiting) return RunEnd::kWaiting;
    if (end == StageEnd::kStopped) return RunEnd::kStopped;
  }
  SaveResults();
  return RunEnd::kDone;
}

size_t Pipeline::OpenStages() {
  size_t last = job_.stages.size();
  std::vector<std::string> open;  // stages that are not finished, or wait for one that is not
  for (size_t i = 0; i < job_.stages.size(); ++i) {
    const StageOptions& stage = job_.stages[i];
    runs_.emplace_back();
    const auto sources = SourcesOf(stage);
    const auto waits_for = std::ranges::find_first_of(sources, open);
    if (waits_for == sources.end()) {
      runs_[i] = Open(stage);
      if (runs_[i]->IsDone()) continue;
    } else {
      RefuseIfBegun(stage, *waits_for);
    }
    open.push_back(stage.name);
    last = i;
  }
  return last;
}

void Pipeline::RefuseIfBegun(const StageOptions& stage, const std::string& source) const {
  if (!HasBegun(folder_, stage)) return;
  throw InputError(
      folder_.path().string() + ": stage " + stage.name + " has begun, but stage " + source +
      " before it is not finished (was its budget raised, or a file of it removed?); allowed: set "
      "aside what was made with it: " +
      sources_.ResumeFrom(stage.name));
}

std::unique_ptr<StageRun> Pipeline::Open(const StageOptions& stage) {
  const Folder folder = folder_.Sub(stage.name);
  folder_.Begin(folder);
  if (stage.kind == "finetune") {
    return std::make_unique<FinetuneRun>(sources_, stage, folder, observer_);
  }
  if (stage.kind == "evaluate") {
    return std::make_unique<EvaluateRun>(sources_, stage, folder, evaluators_, observer_);
  }
  return OpenSearches(stage);
}

std::unique_ptr<StageRun> Pipeline::OpenSearches(const StageOptions& stage) {
  const std::string path = sources_.ModelPath(stage.model);
  StageModel model = evaluators_.ModelAt(path);
  FactorFile extended;
  if (stage.kind == "readjust") {
    if (!stage.extends.empty()) {
      extended = sources_.FactorsOf(stage.extends);
      model.given = {extended.Longest().length, extended.Longest().factors};
    } else if (model.given) {
      extended.buckets = {{model.given->length, model.given->factors, ""}};
    }
  }
  std::vector<std::unique_ptr<SearchRun>> searches;
  for (const StageOptions& search : SearchesOf(stage)) {
    const Folder folder = SearchFolder(folder_, stage, search);
    folder_.Begin(folder);
    searches.push_back(std::make_unique<SearchRun>(StageJob(job_, search), path, model, folder,
                                                   evaluators_, observer_));
  }
  if (stage.kind == "search") return std::move(searches.front());
  return std::make_unique<ReadjustRun>(std::move(searches), std::move(extended),
                                       folder_.Sub(stage.name), StageJob(job_, stage));
}

void Pipeline::SaveJob() const { folder_.Replace(kJobFile, JobText(job_)); }

void Pipeline::SaveResults() {
  table_.clear();
  std::vector<FactorFile> files;
  std::string model;  // of the last search: its factors go together
  for (size_t i = 0; i < runs_.size(); ++i) {
    const StageOptions& stage = job_.stages[i];
    const auto rows = ResultTable(runs_[i]->Views());
    table_.insert(table_.end(), rows.begin(), rows.end());
    if (!stage.Searches()) continue;
    if (stage.model != model) files.clear();
    model = stage.model;
    files.push_back(sources_.FactorsOf(stage.name));
  }
  if (files.empty()) return;
  folder_.Replace(kTableFile, TableCsv(table_));
  FactorFile merged = Merged(files);
  merged.provenance["job_digest"] = Sha256Hex(JobIdentity(job_));
  folder_.Replace(kFactorsFile, WriteFactorFile(merged));
}

std::string Pipeline::Report() const {
  std::string text;
  for (const auto& run : runs_) text += run->Report();
  return text;
}

bool HasBegun(const Folder& run, const StageOptions& stage) {
  if (!stage.Searches()) return run.Sub(stage.name).Has(kStageFile);
  const auto searches = SearchesOf(stage);
  return std::ranges::any_of(searches, [&](const StageOptions& search) {
    return SearchFolder(run, stage, search).Has(kCheckpointFile);
  });
}

}  // namespace longrope
