#include "search/cli/run_job.h"

#include <iostream>

#include "search/cli/command.h"
#include "search/cli/console.h"
#include "search/cli/signals.h"
#include "search/job/model_stages.h"
#include "search/job/pipeline.h"

namespace longrope {

std::vector<std::string> JobArguments::All() const {
  std::vector<std::string> all = settings;
  if (!backend.empty()) all.push_back("backend.name=" + backend);
  if (threads >= 0) all.push_back("backend.threads=" + std::to_string(threads));
  return all;
}

int RunJob(const Job& job, RunFolder folder) {
  const StopSignals signals;  // before any other thread
  Console console;
  console.LogTo(folder.File(kLogFile));
  ModelStages evaluators(job, console, folder.File(kKeyTokensFile));
  Pipeline pipeline(job, folder, evaluators, console);
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
