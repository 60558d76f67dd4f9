#include "search/cli/dry_run_workers.h"

#include <iostream>

#include "eval/external/worker_team.h"
#include "search/cli/command.h"
#include "search/cli/console.h"
#include "search/cli/dry_run.h"
#include "search/job/external_stages.h"
#include "search/job/job_file.h"
#include "search/job/model_options.h"
#include "search/job/stage_run.h"

namespace longrope {

WorkerHello HelloOf(const BackendJobOptions& backend) {
  WorkerOptions options = WorkerOptionsOf(backend);
  options.workers = options.failures = 1;
  WorkerTeam team(options, "", LogMessage);
  return *team.Greet({});
}

int DryRunOfWorkers(const Job& job) {
  const WorkerHello hello = HelloOf(job.backend);
  const StageModel model = StageModelOf(hello, job.model);
  std::cout << "# the resolved job\n"
            << JobText(job) << "\n# what it will take, with workers (" << hello.worker << ", "
            << model.shape.head_dim / 2 << " pairs, base " << model.shape.base << ", trained on "
            << model.shape.original_length << " tokens); times are theirs\n";
  for (const StageOptions& stage : job.stages) {
    if (stage.kind != "evaluate") {
      for (const StageOptions& search : SearchesOf(stage)) {
        const StagePlan plan = PlanStage(search, ForeseenModel(job, search, model));
        if (!plan.warning.empty()) LogWarning(plan.warning);
        std::cout << SearchText(plan);
        if (hello.given && search.kind == "search") {
          std::cout << "  starts from: the factors of the workers' model, made for "
                    << hello.given->Longest().length << " tokens; genes multiply them\n";
        }
      }
      continue;
    }
    std::cout << "stage " << stage.name << " (evaluate): " << stage.evaluate.rows.size()
              << " rows, " << stage.documents << " documents\n";
    for (int64_t length : stage.lengths) {
      std::cout << "  at " << length << " tokens: " << EvaluationPasses(stage, length)
                << " passes\n";
    }
  }
  PrintTexts(job, hello.vocab);
  std::cout << "output: " << job.output.folder << " (a dry run writes nothing)\n";
  return kExitDone;
}

}  // namespace longrope
