#include <algorithm>
#include <iostream>
#include <memory>
#include <optional>

#include "eval/errors.h"
#include "eval/number_text.h"
#include "search/cli/command.h"
#include "search/cli/console.h"
#include "search/cli/duration.h"
#include "search/evaluate/evaluate_run.h"
#include "search/finetune/finetune_run.h"
#include "search/job/checkpoint.h"
#include "search/job/job_file.h"
#include "search/job/pipeline.h"
#include "search/job/results.h"
#include "search/job/run_folder.h"
#include "search/job/search_run.h"

namespace longrope {
namespace fs = std::filesystem;
namespace {

void PrintBest(const StagePlan& plan, const StageState& stage) {
  const Candidate& best = *stage.Winner();
  const RopeFactors factors = plan.space.Decode(best.genome);
  std::cout << "  best so far: candidate " << best.id << " of generation " << best.generation
            << " (" << NameOf(best.origin) << "), perplexity " << *stage.population.Fitness(best.id)
            << ", start tokens " << factors.start_tokens << ", m " << factors.attention_factor
            << "\n  lambda:";
  for (float value : factors.lambda) std::cout << ' ' << FloatText(value);
  std::cout << "\n";
}

// What is known of a search: from its checkpoint.
struct Known {
  StagePlan plan;
  StageState state;
};

std::optional<Known> KnownOf(const Job& job, const StageOptions& search, const Folder& folder) {
  auto loaded = LoadNewestCheckpoint(folder.path(), StageJob(job, search), LogWarning);
  if (!loaded) return std::nullopt;
  StagePlan plan = PlanStage(search, loaded->record.model);
  return Known{std::move(plan), std::move(loaded->record.state)};
}

void PrintSearch(const StageOptions& search, const std::optional<Known>& known) {
  std::cout << "stage " << search.name << " (" << search.kind << " on " << search.model << ", "
            << search.length << " tokens, " << search.window << " window, " << search.objective
            << " tokens scored): ";
  if (!known) {
    std::cout << "not begun\n";
    return;
  }
  const StageState& state = known->state;
  const auto& candidates = state.population.candidates();
  const StageProgress progress = ProgressOf(known->plan, state);
  std::cout << progress.evaluations << " of " << progress.planned_evaluations << " evaluations, "
            << progress.scores << " of " << progress.planned_scores << " scores, generation "
            << (candidates.empty() ? 0 : candidates.back().generation) << " of "
            << search.evolution.LastGeneration() << "\n";
  if (state.Winner() == nullptr) return;
  PrintBest(known->plan, state);
  std::cout << OperatorText({known->plan, state});
}

// Of a fine-tune: its legs, and what the first that is not done waits for.
void PrintLegs(const Folder& run, const StageOptions& stage) {
  const auto legs = LegsOf(run.Sub(stage.name), stage);
  const auto next = std::ranges::find(legs, false, &FinetuneLeg::done);
  std::cout << next - legs.begin() << " of " << legs.size() << " legs\n";
  if (next == legs.end() || !next->begun) return;
  std::cout << "  leg " << next - legs.begin() + 1
            << (stage.finetune.command.empty()
                    ? " waits for a checkpoint: train " + next->input.string() + ", put it at " +
                          next->output.string() + ", then longrope resume " + run.path().string()
                    : ": " + next->log.string() + " holds what its command says")
            << "\n";
}

void PrintOther(const Folder& run, const StageOptions& stage) {
  const bool trains = stage.kind == "finetune";
  std::cout << "stage " << stage.name << " (" << stage.kind << (trains ? " of " + stage.model : "")
            << "): ";
  if (!HasBegun(run, stage)) {
    std::cout << "not begun\n";
  } else if (trains) {
    PrintLegs(run, stage);
  } else {
    std::cout << stage.evaluate.rows.size() << " rows, " << run.Sub(stage.name).path().string()
              << "\n";
  }
}

// Seconds that the scores of a search took.
double SecondsOf(const Folder& folder) {
  if (!folder.Has(kTimesFile)) return 0;
  return SecondsIn(ReadFile(folder.File(kTimesFile), kMaxTimesBytes));
}

bool IsFinished(const Folder& run, const StageOptions& stage) {
  const Folder folder = run.Sub(stage.name);
  if (stage.kind == "evaluate") return folder.Has(kEvaluationFile);
  return folder.Has(kFactorsFile);
}

int Run(const fs::path& path) {
  const Folder run(FileSystem::Real(), path);
  if (!run.Has(kJobFile)) {
    throw InputError(path.string() + ": holds no run (no " + std::string(kJobFile) + ")" +
                     (run.Has("cells") ? "; the runs of a study lie in its cells/" : ""));
  }
  const Job job = ReadJob(run.File(kJobFile), {});
  const auto next = std::ranges::find_if(
      job.stages, [&](const StageOptions& stage) { return !IsFinished(run, stage); });
  const bool finished = next == job.stages.end();
  const std::string holder = RunHolder(path);
  std::cout << "run " << job.name << " in " << path.string() << ": "
            << (!holder.empty() ? holder + " is working on it"
                : finished      ? "finished"
                                : "not finished; longrope resume " + path.string())
            << "\n";
  std::vector<Known> all;
  for (const StageOptions& stage : job.stages) {
    double seconds = stage.kind == "search" ? 0 : SecondsOf(run.Sub(stage.name));
    if (stage.Searches()) {
      for (const StageOptions& search : SearchesOf(stage)) {
        const Folder folder = SearchFolder(run, stage, search);
        auto known = KnownOf(job, search, folder);
        PrintSearch(search, known);
        seconds += SecondsOf(folder);
        if (known) all.push_back(std::move(*known));
      }
    } else {
      PrintOther(run, stage);
    }
    const bool done = IsFinished(run, stage);
    std::cout << "  "
              << (done                                      ? "finished"
                  : &stage != &*next                        ? "waits"
                  : !holder.empty() && HasBegun(run, stage) ? "under way"
                                                            : "comes next")
              << (seconds > 0 ? ", " + DurationText(seconds) + (done ? "" : " so far") : "")
              << "\n";
  }
  std::vector<StageView> views;
  for (const Known& known : all) views.push_back({known.plan, known.state});
  const auto table = ResultTable(views);
  if (!table.empty()) std::cout << TableText(table);
  if (finished && !table.empty()) {
    std::cout << Verdict(table) << "factors: " << run.File(kFactorsFile).string() << "\n";
  }
  for (const StageOptions& stage : job.stages) {
    if (stage.kind == "evaluate") std::cout << EvaluationTextIn(run.Sub(stage.name));
  }
  return kExitDone;
}

}  // namespace

void AddShow(CLI::App& app, Action* action) {
  auto folder = std::make_shared<std::string>();
  CLI::App* command = app.add_subcommand("show", "Where a run stands and what it found");
  command->add_option("run", *folder, "Folder of the run")->required();
  command->callback([=] { *action = [=] { return Run(*folder); }; });
}

}  // namespace longrope
