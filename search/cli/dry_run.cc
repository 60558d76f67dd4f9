#include "search/cli/dry_run.h"

#include <filesystem>
#include <iostream>

#include "eval/backend.h"
#include "eval/calibration.h"
#include "eval/forward.h"
#include "eval/scorer.h"
#include "search/cli/command.h"
#include "search/cli/console.h"
#include "search/cli/duration.h"
#include "search/job/job_file.h"
#include "search/job/model_options.h"
#include "search/job/stage_documents.h"
#include "search/job/stage_plan.h"

namespace longrope {
namespace {

void PrintStage(const Job& job, const StagePlan& plan, const ModelConfig& config,
                const Engine& engine, const Calibration& calibration) {
  const StageOptions& options = plan.options;
  ModelShape shape = config.shape;
  if (shape.sliding_window < options.length) shape.sliding_window = 0;
  const ForwardPlan forward = PlanForward(engine, NeedsOf(config, config.stored, options.length),
                                          MemoryBytesOf(job.backend));
  const double one = calibration.DocumentSeconds(shape, options.length);
  if (!plan.warning.empty()) LogWarning(plan.warning);
  std::cout << "stage " << options.name << ": " << plan.ratio << " times the original length, "
            << "lambda up to " << plan.space.Decode(plan.space.Largest()).lambda.back() << "\n"
            << "  evaluations: " << plan.Evaluations() << "\n"
            << "  scores: " << plan.PlannedScores() << " (evaluations on " << options.documents
            << " documents; baselines and the winner on " << options.held_out
            << " held-out ones too)\n"
            << "  memory: " << forward.account.Text() << ", "
            << (forward.scope == KvScope::kAllLayers ? "chunk by chunk" : "layer by layer") << "\n"
            << "  time: about " << DurationText(one) << " a score, "
            << DurationText(one * static_cast<double>(plan.PlannedScores())) << " in all\n";
}

void PrintTexts(const Job& job, const ModelConfig& config) {
  const auto tokenizer = TokenizerForTexts(job, config);
  if (!tokenizer) return;
  for (const StageOptions& stage : job.stages) {
    const auto documents = DrawStageDocuments(job, stage, *tokenizer);
    std::cout << "texts of stage " << stage.name << ":\n";
    for (size_t i = 0; i < documents.size(); ++i) {
      std::cout << (i < static_cast<size_t>(stage.documents) ? "  fitness: " : "  held-out: ")
                << DocumentText(documents[i]) << "\n";
    }
  }
}

}  // namespace

std::unique_ptr<Tokenizer> TokenizerForTexts(const Job& job, const ModelConfig& config) {
  namespace fs = std::filesystem;
  for (const fs::path& needed :
       {fs::path(job.data.path), fs::path(job.model.path) / "tokenizer.model"}) {
    if (fs::exists(needed)) continue;
    std::cout << "texts: not checked, " << needed.string() << " is missing\n";
    return nullptr;
  }
  return OpenTokenizer(job.model.path, config.shape.vocab);
}

int DryRun(const Job& job) {
  const auto engine = MakeEngine({job.backend.name, job.backend.threads});
  const ModelConfig config = ReadModelConfig(job.model.path, OverridesOf(job.model));
  std::vector<StagePlan> plans;
  for (const StageOptions& options : job.stages) {
    plans.push_back(PlanStage(options, config.Rope()));
    if (!options.key_model.empty()) ReadModelConfig(options.key_model, {});
  }
  std::cout << "# the resolved job\n"
            << JobText(job) << "\n# what it will take, with engine " << engine->name() << " on "
            << engine->Threads() << " threads\n";
  const Calibration calibration = Calibrate(*engine, config.shape);
  for (const StagePlan& plan : plans) PrintStage(job, plan, config, *engine, calibration);
  PrintTexts(job, config);
  std::cout << "output: " << job.output.folder << " (a dry run writes nothing)\n";
  return kExitDone;
}

}  // namespace longrope
