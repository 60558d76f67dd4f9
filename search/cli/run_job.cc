#include "search/cli/run_job.h"

#include <iostream>
#include <memory>

#include "eval/errors.h"
#include "search/cli/command.h"
#include "search/cli/console.h"
#include "search/cli/signals.h"
#include "search/job/external_stages.h"
#include "search/job/model_options.h"
#include "search/job/model_stages.h"
#include "search/job/pipeline.h"

namespace longrope {

std::vector<std::string> JobArguments::All() const {
  std::vector<std::string> all = settings;
  if (!backend.empty()) all.push_back("backend.name=" + backend);
  if (threads >= 0) all.push_back("backend.threads=" + std::to_string(threads));
  return all;
}

namespace {

// Workers that have said hello; none where the job wants none, or where a stop came first. Throws
// InputError, and nothing is left of a run that could not begin.
std::unique_ptr<WorkerTeam> WorkersOf(const Job& job, RunFolder* folder, Console* console,
                                      std::stop_token stop) {
  if (job.backend.command.empty()) return nullptr;
  auto team = std::make_unique<WorkerTeam>(
      WorkerOptionsOf(job.backend), folder->File(kWorkerTokens),
      [console](const std::string& line) { console->OnMessage(line); });
  try {
    if (team->Greet(std::move(stop)) != nullptr) return team;
  } catch (const InputError&) {
    folder->Abandon();
    throw;
  }
  folder->Abandon();
  return nullptr;
}

}  // namespace

int RunJob(const Job& job, RunFolder folder) {
  const StopSignals signals;  // before any other thread
  Console console;
  console.LogTo(folder.File(kLogFile));
  const auto team = WorkersOf(job, &folder, &console, signals.token());
  if (!team && !job.backend.command.empty()) {
    console.OnMessage("stopped before its workers were there; the same command goes on");
    return kExitStopped;
  }
  std::unique_ptr<StageEvaluators> evaluators;
  if (team) {
    evaluators = std::make_unique<ExternalStages>(job, console, *team);
  } else {
    evaluators = std::make_unique<ModelStages>(job, console, folder.File(kKeyTokensFile));
  }
  Pipeline pipeline(job, folder, *evaluators, console);
  const RunEnd end = pipeline.Run(signals.token());
  if (end == RunEnd::kStopped) {
    console.OnMessage("stopped; go on with \"longrope resume " + job.output.folder + "\"");
    return kExitStopped;
  }
  if (end == RunEnd::kWaiting) return kExitStopped;
  if (end == RunEnd::kAlreadyDone) console.OnMessage("this run is finished; nothing is left to do");
  console.Finish();
  if (!pipeline.table().empty()) {
    std::cout << TableText(pipeline.table()) << Verdict(pipeline.table())
              << "factors: " << folder.File(kFactorsFile).string() << "\n";
  }
  std::cout << pipeline.Report();
  return kExitDone;
}

}  // namespace longrope
