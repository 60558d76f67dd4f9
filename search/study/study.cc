#include "search/study/study.h"

#include <algorithm>
#include <filesystem>
#include <utility>

#include "eval/errors.h"
#include "eval/storage/files.h"
#include "search/job/checkpoint.h"
#include "search/job/job_file.h"
#include "search/job/pipeline.h"
#include "search/job/suggest.h"
#include "search/study/study_report.h"

namespace longrope {
namespace {

// A cell's progress under its own name; of its messages only warnings: its log would drown the
// study's.
class CellObserver final : public RunObserver {
 public:
  CellObserver(RunObserver& observer, std::string cell)
      : observer_(observer), cell_(std::move(cell)) {}
  void OnProgress(const Progress& progress) override {
    Progress named = progress;
    named.stage = cell_;
    observer_.OnProgress(named);
  }
  void OnMessage(const std::string&) override {}
  void OnWarning(const std::string& text) override { observer_.OnWarning(cell_ + ": " + text); }

 private:
  RunObserver& observer_;
  std::string cell_;
};

RunFolder FolderOf(FileSystem& files, const Job& job) {
  if (!std::filesystem::exists(std::filesystem::path(job.output.folder) / kJobFile)) {
    return RunFolder::Create(files, job.output.folder);
  }
  RunFolder folder = RunFolder::Open(files, job.output.folder);
  const auto lowered = LoweredBudgets(ReadJob(folder.File(kJobFile), {}), job);
  if (!lowered.empty()) {
    throw InputError(folder.File(kJobFile).string() + ": " + Joined(lowered) +
                     ": a budget of a search that has begun may be raised, not lowered (was it "
                     "raised with --set? say so again, or in the study file)");
  }
  return folder;
}

}  // namespace

StudyRunner::StudyRunner(const Study& study, FileSystem& files, MakeStages make_stages,
                         RunObserver& observer)
    : study_(study), files_(files), make_stages_(std::move(make_stages)), observer_(observer) {}

std::optional<std::vector<CellResult>> StudyRunner::Run(std::stop_token stop) {
  CheckCells();
  MakeFolders(files_, study_.folder);
  const RunLock lock(study_.folder);
  SweepTemporaries(files_, study_.folder);
  ReplaceFile(files_, std::filesystem::path(study_.folder) / kStudyFile, study_.text);
  cache_.emplace(files_, std::filesystem::path(study_.folder) / kScoresFile);
  std::vector<CellResult> results;
  for (const StudyCell& cell : study_.cells) {
    if (stop.stop_requested()) return std::nullopt;
    auto result = RunCell(cell, stop);
    if (!result) return std::nullopt;
    results.push_back(std::move(*result));
    CheckFingerprint(results.front().model, results.back().model, cell.Name(), study_.folder);
    SaveResults(results);
    const CellPoint& last = results.back().Last();
    observer_.OnMessage("study " + study_.name + ": " + std::to_string(results.size()) + " of " +
                        std::to_string(study_.cells.size()) + " searches done, " + cell.Name() +
                        ": fitness " + std::to_string(last.fitness) + ", held-out " +
                        std::to_string(HeldOutPerplexity(last.held_out)) + " after " +
                        std::to_string(last.scores) + " scores");
  }
  return results;
}

void StudyRunner::CheckCells() {
  const auto stages = make_stages_(study_.cells.front().job, observer_);
  const StageModel model = stages->ModelAt(study_.cells.front().job.model.path);
  for (const StudyCell& cell : study_.cells) PlanStage(cell.job.stages.front(), model);
}

std::optional<CellResult> StudyRunner::RunCell(const StudyCell& cell, std::stop_token stop) {
  CellObserver observer(observer_, cell.Name());
  RunFolder folder = FolderOf(files_, cell.job);
  const auto stages = make_stages_(cell.job, observer);
  CachedStages cached(*stages, *cache_);
  Pipeline pipeline(cell.job, folder, cached, observer);
  if (pipeline.Run(stop) == RunEnd::kStopped) return std::nullopt;

  const StageOptions& stage = cell.job.stages.front();
  const Folder search = folder.Sub(stage.name);
  const auto loaded = LoadNewestCheckpoint(
      search.path(), cell.job, [&](const std::string& text) { observer.OnWarning(text); });
  const StageState& state = loaded->record.state;
  const StagePlan plan = PlanStage(stage, loaded->record.model);
  CellResult result = ResultOf(plan, state, study_.marks);
  result.method = cell.method;
  result.length = cell.length;
  result.seed = cell.job.seed;
  const std::string where = search.File(kCheckpointFile).string();
  const std::string& path = cell.job.model.path;
  if (!ScorePoints(plan, state, where, path, cached, &result.points, stop)) return std::nullopt;
  return result;
}

bool StudyRunner::ScorePoints(const StagePlan& plan, const StageState& state,
                              const std::string& where, const std::string& path,
                              CachedStages& cached, std::vector<CellPoint>* points,
                              std::stop_token stop) {
  const int fitness = state.population.fitness();
  const auto keep = [&](const Task& task, const Score& score) {
    for (CellPoint& point : *points) {
      if (point.candidate != task.candidate) continue;
      point.held_out[static_cast<size_t>(task.document - fitness)] = score;
    }
  };
  std::vector<Task> missing;
  for (CellPoint& point : *points) {
    const Candidate& best = state.population.candidates()[static_cast<size_t>(point.candidate)];
    const RopeFactors factors = plan.space.Decode(best.genome);
    for (int i = 0; i < state.population.held_out(); ++i) {
      if (point.held_out[static_cast<size_t>(i)]) continue;
      const Task task{best.id, fitness + i, factors};
      const auto known = cache_->Find(ScoreKey(state.fingerprint, task));
      if (known) {
        keep(task, *known);
      } else if (std::ranges::none_of(missing, [&](const Task& other) {
                   return other.candidate == task.candidate && other.document == task.document;
                 })) {
        missing.push_back(task);
      }
    }
  }
  if (missing.empty()) return true;
  // A search that was finished before has asked for no evaluator.
  Evaluator* evaluator =
      cached.current() != nullptr ? cached.current() : cached.For(plan.options, path, stop);
  if (evaluator == nullptr) return false;
  CheckFingerprint(state.fingerprint, evaluator->Fingerprint(), state.name, where);
  size_t scored = 0;
  evaluator->Run(
      missing,
      [&](const Task& task, const Score& score) {
        ++scored;
        keep(task, score);
      },
      std::move(stop));
  return scored == missing.size();
}

void StudyRunner::SaveResults(const std::vector<CellResult>& results) const {
  const std::filesystem::path folder = study_.folder;
  ReplaceFile(files_, folder / kCurveFile, CurveCsv(study_, results));
  ReplaceFile(files_, folder / kSummaryFile, SummaryCsv(Summary(study_, results)));
}

}  // namespace longrope
