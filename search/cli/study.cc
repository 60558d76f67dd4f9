#include "search/study/study.h"

#include <iostream>
#include <memory>
#include <set>

#include "eval/backend.h"
#include "eval/calibration.h"
#include "eval/storage/file_system.h"
#include "search/cli/command.h"
#include "search/cli/console.h"
#include "search/cli/dry_run.h"
#include "search/cli/dry_run_workers.h"
#include "search/cli/duration.h"
#include "search/cli/job_arguments.h"
#include "search/cli/signals.h"
#include "search/job/external_stages.h"
#include "search/job/model_options.h"
#include "search/job/model_stages.h"
#include "search/job/run_folder.h"
#include "search/job/stage_documents.h"
#include "search/job/stage_plan.h"
#include "search/study/study_report.h"

namespace longrope {
namespace {

struct Arguments {
  std::string study;
  JobArguments overrides;
  bool dry_run = false;
};

// Scores that a cell takes at most.
int64_t ScoresOf(const Study& study, const StagePlan& plan) {
  return plan.PlannedScores() + static_cast<int64_t>(study.marks.size()) * plan.options.held_out;
}

// Can every search draw its documents?
void CheckTexts(const Study& study, int64_t vocab) {
  const Job& first = study.cells.front().job;
  if (!HasTexts(first)) return;
  JobTexts texts(first, {.say = LogMessage, .warn = LogWarning}, false);
  const Reading reading = texts.Open(vocab);
  std::set<std::string> checked;
  for (const StudyCell& cell : study.cells) {
    const StageOptions& stage = cell.job.stages.front();
    const int documents = stage.documents + stage.held_out;
    const std::string draw = std::to_string(cell.job.seed) + " " + std::to_string(cell.length) +
                             " " + std::to_string(documents);
    if (checked.insert(draw).second) DrawStageDocuments(cell.job, stage, reading);
  }
}

int DryRunOfWorkers(const Study& study) {
  const Job& job = study.cells.front().job;
  const WorkerHello hello = HelloOf(job.backend);
  const StageModel model = StageModelOf(hello, job.model);
  std::cout << "study " << study.name << " with workers (" << hello.worker
            << "); scores that searches share are made once; times are theirs\n";
  for (const StudyCell& cell : study.cells) {
    const StagePlan plan = PlanStage(cell.job.stages.front(), model);
    std::cout << "  " << cell.Name() << ": " << plan.Evaluations() << " evaluations, at most "
              << ScoresOf(study, plan) << " scores\n";
  }
  CheckTexts(study, hello.vocab);
  std::cout << study.cells.size() << " searches\noutput: " << study.folder
            << " (a dry run writes nothing)\n";
  return kExitDone;
}

int DryRun(const Study& study) {
  const Job& job = study.cells.front().job;
  if (!job.backend.command.empty()) return DryRunOfWorkers(study);
  const auto engine = MakeEngineToPlan(BackendOptionsOf(job.backend, LogMessage));
  const ModelConfig config = ModelConfigOf(job.model.path, OverridesOf(job.model));
  const Calibration calibration = Calibrate(*engine, config.shape);
  std::cout << "study " << study.name << " on engine " << engine->name() << ", "
            << engine->Threads() << " threads; scores that searches share are made once\n";
  double all = 0;
  for (const StudyCell& cell : study.cells) {
    const StagePlan plan = PlanStage(cell.job.stages.front(), StageModelOf(config));
    const auto scores = static_cast<double>(ScoresOf(study, plan));
    const double seconds = scores * calibration.DocumentSeconds(config.shape, cell.length);
    std::cout << "  " << cell.Name() << ": " << plan.Evaluations() << " evaluations, at most "
              << scores << " scores, about " << DurationText(seconds) << "\n";
    all += seconds;
  }
  CheckTexts(study, config.shape.vocab);
  std::cout << study.cells.size() << " searches, at most " << DurationText(all)
            << "\noutput: " << study.folder << " (a dry run writes nothing)\n";
  return kExitDone;
}

int Run(const Arguments& arguments) {
  const Study study = ReadStudy(arguments.study, arguments.overrides.All());
  if (arguments.dry_run) return DryRun(study);
  const StopSignals signals;  // before any other thread
  Console console;
  const BackendJobOptions& backend = study.cells.front().job.backend;
  const std::filesystem::path folder = study.folder;
  WorkerTeam workers(WorkerOptionsOf(backend), folder / kWorkerTokens,
                     [&](const std::string& line) { console.OnMessage(line); });
  const bool theirs = !backend.command.empty();
  const bool stopped = theirs && workers.Greet(signals.token()) == nullptr;
  StudyRunner runner(
      study, FileSystem::Real(),
      [&](const Job& job, RunObserver& observer) -> std::unique_ptr<StageEvaluators> {
        if (theirs) return std::make_unique<ExternalStages>(job, observer, workers);
        return std::make_unique<ModelStages>(job, observer, folder / kKeyTokensFile);
      },
      console);
  const auto results = stopped ? std::nullopt : runner.Run(signals.token());
  if (!results) {
    console.OnMessage("stopped; the same command goes on");
    return kExitStopped;
  }
  console.Finish();
  std::cout << SummaryText(study, Summary(study, *results)) << "in " << study.folder << ": "
            << kSummaryFile << ", " << kCurveFile << ", and a run of each search in cells/\n";
  return kExitDone;
}

}  // namespace

void AddStudy(CLI::App& app, Action* action) {
  auto arguments = std::make_shared<Arguments>();
  CLI::App* command = app.add_subcommand(
      "study", "Compare methods over seeds and lengths; the same command goes on with it");
  command->add_option("study", arguments->study, "Study file (configs/study-tiny.yaml explains it)")
      ->required();
  AddJobArguments(*command, &arguments->overrides);
  command->add_flag("--dry-run", arguments->dry_run,
                    "Print the searches, their scores, and time on this machine");
  command->callback([=] { *action = [=] { return Run(*arguments); }; });
}

}  // namespace longrope
