#include <iostream>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "eval/backend.h"
#include "eval/external/worker_server.h"
#include "eval/scorer.h"
#include "search/cli/command.h"
#include "search/cli/console.h"
#include "search/cli/job_arguments.h"
#include "search/job/job_file.h"
#include "search/job/model_options.h"

namespace longrope {
namespace {

struct Arguments {
  std::string job;
  JobArguments overrides;
};

// A job may name this very command: what it says of workers is not for them.
Job JobForWorker(const Arguments& arguments) {
  std::vector<std::string> settings = arguments.overrides.All();
  settings.push_back("backend.command=null");
  return ReadJob(arguments.job, settings);
}

// The job's model on the job's backend.
class OwnModel {
 public:
  explicit OwnModel(const Job& job)
      : job_(job),
        engine_(MakeEngine(BackendOptionsOf(job.backend, LogMessage))),
        source_(OpenModel(job.model.path, OverridesOf(job.model))) {}

  WorkerHello Hello() const {
    const ModelConfig& config = source_->config();
    // Factors are applied beyond a sliding window, and within it masks nothing.
    return {.worker = "longrope " LONGROPE_VERSION,
            .fingerprint = {{"build", std::string(engine_->build())},
                            {"engine", std::string(engine_->name())},
                            {"model", source_->Digest()},
                            {"sliding window", "0"}},
            .shape = config.KnownRope(),
            .given = config.own_factors,
            .vocab = config.shape.vocab};
  }
  void Prepare(int64_t longest) {
    if (scorer_ && longest <= longest_) return;
    scorer_.reset();  // two copies of the weights might not fit
    scorer_.emplace(*engine_, *source_, ScorerOptions{MemoryBytesOf(job_.backend), longest, false});
    longest_ = longest;
  }
  const Scorer& scorer() const { return *scorer_; }

 private:
  const Job& job_;
  std::unique_ptr<Engine> engine_;
  std::unique_ptr<ModelSource> source_;
  std::optional<Scorer> scorer_;
  int64_t longest_ = 0;  // tokens that it is bound for
};

int Run(const Arguments& arguments) {
  const Job job = JobForWorker(arguments);
  OwnModel model(job);
  ServeWorker({.hello = model.Hello(),
               .prepare = [&](int64_t longest) { model.Prepare(longest); },
               .score =
                   [&](const Document& document, const RopeFactors& factors, std::stop_token stop) {
                     return model.scorer().ScoreTokens(document.tokens, factors, std::move(stop),
                                                       document.scored);
                   }},
              std::cin, std::cout);
  return kExitDone;
}

}  // namespace

void AddWorker(CLI::App& app, Action* action) {
  auto arguments = std::make_shared<Arguments>();
  CLI::App* command = app.add_subcommand(
      "worker",
      "Score what a search asks, on stdin and stdout (configs/workers/README.md: the protocol)");
  command->add_option("job", arguments->job, "Job file: its model and backend are served")
      ->required();
  AddJobArguments(*command, &arguments->overrides);
  command->callback([=] { *action = [=] { return Run(*arguments); }; });
}

}  // namespace longrope
