#include <iostream>
#include <memory>

#include "eval/errors.h"
#include "search/cli/command.h"
#include "search/cli/console.h"
#include "search/job/checkpoint.h"
#include "search/job/job_file.h"
#include "search/job/results.h"
#include "search/job/run_folder.h"
#include "search/number_text.h"

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

void PrintStage(const StageOptions& options, const RunState& state, size_t index) {
  std::cout << "stage " << options.name << " (" << options.kind << ", " << options.length
            << " tokens, " << options.window << " window, " << options.objective
            << " tokens scored): ";
  if (index >= state.stages.size()) {
    std::cout << "not begun\n";
    return;
  }
  const StageState& stage = state.stages[index];
  const StagePlan plan = PlanStage(options, state.shape);
  const auto& candidates = stage.population.candidates();
  const StageProgress progress = ProgressOf(plan, stage);
  std::cout << progress.evaluations << " of " << progress.planned_evaluations << " evaluations, "
            << progress.scores << " of " << progress.planned_scores << " scores, generation "
            << (candidates.empty() ? 0 : candidates.back().generation) << " of "
            << options.evolution.LastGeneration() << "\n";
  if (stage.Winner() == nullptr) return;
  PrintBest(plan, stage);
  std::cout << OperatorText({plan, stage});
}

int Run(const fs::path& folder) {
  if (!fs::exists(folder / kJobFile)) {
    throw InputError(
        folder.string() + ": holds no run (no " + std::string(kJobFile) + ")" +
        (fs::exists(folder / "cells") ? "; the runs of a study lie in its cells/" : ""));
  }
  const Job job = ReadJob(folder / kJobFile, {});
  const bool finished = fs::exists(folder / kFactorsFile);
  const std::string holder = RunHolder(folder);
  std::cout << "run " << job.name << " in " << folder.string() << ": "
            << (!holder.empty() ? holder + " is working on it"
                : finished      ? "finished"
                                : "not finished; longrope resume " + folder.string())
            << "\n";
  const auto loaded = LoadNewestCheckpoint(folder, job, LogWarning);
  if (!loaded) return kExitDone;
  const RunState& state = loaded->state;
  std::vector<StagePlan> plans;
  for (size_t i = 0; i < state.stages.size(); ++i) {
    plans.push_back(PlanStage(job.stages[i], state.shape));
  }
  std::vector<StageView> views;
  for (size_t i = 0; i < plans.size(); ++i) views.push_back({plans[i], state.stages[i]});
  for (size_t i = 0; i < job.stages.size(); ++i) PrintStage(job.stages[i], state, i);
  const auto table = ResultTable(views);
  std::cout << TableText(table);
  if (finished) {
    std::cout << Verdict(table) << "factors: " << (folder / kFactorsFile).string() << "\n";
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
