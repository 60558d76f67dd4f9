#include "search/cli/dry_run.h"

#include <cstdio>
#include <filesystem>
#include <iostream>
#include <sstream>

#include "eval/backend.h"
#include "eval/calibration.h"
#include "eval/errors.h"
#include "eval/forward.h"
#include "eval/number_text.h"
#include "eval/scorer.h"
#include "eval/work.h"
#include "kernels/cuda/memory_plan.h"
#include "search/cli/command.h"
#include "search/cli/console.h"
#include "search/cli/dry_run_workers.h"
#include "search/cli/duration.h"
#include "search/job/job_file.h"
#include "search/job/model_options.h"
#include "search/job/stage_check.h"
#include "search/job/stage_documents.h"
#include "search/job/stage_run.h"

namespace longrope {
namespace {

// All stages that read documents, as long as they read them.
std::vector<StageOptions> AllReaders(const Job& job) {
  std::vector<StageOptions> all = AllSearches(job);
  for (StageOptions stage : job.stages) {
    if (stage.kind != "evaluate") continue;
    stage.length = std::max(stage.lengths.back(), stage.evaluate.sliding_tokens.value_or(0));
    all.push_back(std::move(stage));
  }
  return all;
}

constexpr double kTera = 1e12, kGiga = 1e9;

// Prints what a job's stages will take, here and on a GPU.
class Costs {
 public:
  Costs(const Job& job, const DryRunOptions& options, const ModelConfig& config,
        const Engine& engine)
      : job_(job),
        options_(options),
        config_(config),
        engine_(engine),
        calibration_(Calibrate(engine, config.shape)) {}

  void Print(const StageOptions& stage) {
    if (stage.kind == "finetune") {
      PrintFinetune(stage);
    } else if (stage.kind == "evaluate") {
      PrintEvaluate(stage);
    } else {
      for (const StageOptions& search : SearchesOf(stage)) PrintSearch(search);
    }
  }
  void PrintTotal() const {
    if (job_.stages.size() == 1) return;
    std::cout << "all stages: about " << DurationText(seconds_)
              << " here (fine-tunes not counted), " << WorkText(flops_) << "\n";
  }

 private:
  // "1.2e+18 FLOP, 3.1 GPU-hours at 400 TFLOP/s"
  std::string WorkText(double flops) const {
    char text[120];
    std::snprintf(text, sizeof text, "%.3g FLOP, %.3g GPU-hours at %g TFLOP/s", flops,
                  flops / (options_.tflops * kTera) / 3600, options_.tflops);
    return text;
  }
  ModelShape ShapeAt(int64_t length) const {
    ModelShape shape = config_.shape;
    if (shape.sliding_window < length) shape.sliding_window = 0;
    return shape;
  }

  // What the CUDA engine would take, whether there is one here or not.
  void PrintDevice(int64_t length) const {
    const cuda::PassShape pass{.model = ShapeAt(length),
                               .tied_head = config_.tied_head,
                               .type = DTypeOf(job_.backend.dtype)};
    const auto of = [&](const cuda::Placement& where) {
      return cuda::MemoryOf(pass, length, KvScope::kOneLayer, where);
    };
    const cuda::PassMemory all = of({true, true}), least = of({false, false});
    const auto gb = [](int64_t bytes) { return static_cast<double>(bytes) / kGiga; };
    char text[400];
    std::snprintf(
        text, sizeof text,
        "  on one GPU in %s: weights %.2f GB, hidden states %.2f, keys and values of a layer %.2f, "
        "working memory %.2f: %.2f GB; at least %.2f GB, with %.2f GB of the host's memory\n",
        job_.backend.dtype.c_str(), gb(all.bound), gb(all.hidden), gb(all.keys), gb(all.working),
        gb(all.Device()), gb(least.Device()), gb(least.pinned));
    std::cout << text;
    if (const int64_t allowed = MemoryBytesOf(job_.backend); allowed > 0) {
      const cuda::PassMemory placed = of(cuda::Place(pass, length, allowed));
      std::snprintf(text, sizeof text, "  of %.2f GB (backend.memory_gb): ", gb(allowed));
      std::cout << text;
      if (placed.Device() <= allowed) {
        std::snprintf(text, sizeof text, "%.2f GB, and %.2f GB of the host's memory\n",
                      gb(placed.Device()), gb(placed.pinned));
        std::cout << text;
      } else {
        std::cout << "does not fit\n";
      }
    }
    std::cout
        << "  on eight GPUs: as much on each, eight documents at a time, an eighth of the hours\n";
  }
  void PrintMemory(int64_t length) const {
    try {
      const ForwardPlan plan =
          PlanForward(engine_, NeedsOf(config_, config_.stored, length, length),
                      MemoryLimit(engine_, MemoryBytesOf(job_.backend)));
      std::cout << "  memory: " << plan.account.Text() << ", "
                << (plan.scope == KvScope::kAllLayers ? "chunk by chunk" : "layer by layer")
                << "\n";
    } catch (const InputError& too_large) {  // elsewhere it may fit
      std::cout << "  does not fit here: " << too_large.what() << "\n";
    }
  }
  void PrintWork(double documents, int64_t length) {
    const double one = calibration_.DocumentSeconds(ShapeAt(length), length);
    const double flops = documents * DocumentFlops(ShapeAt(length), length);
    seconds_ += documents * one;
    flops_ += flops;
    std::cout << "  time here: about " << DurationText(one) << " a score, "
              << DurationText(documents * one)
              << " in all\n  work: " << documents * static_cast<double>(length) << " tokens, "
              << WorkText(flops) << "\n";
  }

  void PrintSearch(const StageOptions& options) {
    const StagePlan plan = PlanStage(options, ForeseenModel(job_, options, StageModelOf(config_)));
    if (!plan.warning.empty()) LogWarning(plan.warning);
    std::cout << SearchText(plan);
    if (config_.own_factors && options.kind == "search" && options.model == kBaseModel) {
      std::cout << "  starts from: " << config_.own_factors->Text() << "; genes multiply that\n";
    }
    PrintMemory(options.length);
    PrintWork(static_cast<double>(plan.PlannedScores()), options.length);
    PrintDevice(options.length);
  }

  void PrintFinetune(const StageOptions& stage) {
    for (size_t leg = 0; leg < stage.finetune.steps.size(); ++leg) {
      const int64_t steps = stage.finetune.steps[leg], length = stage.lengths[leg];
      // Backward costs twice what forward does.
      const double flops = 3 * static_cast<double>(steps) * DocumentFlops(ShapeAt(length), length);
      flops_ += flops;
      std::cout << "stage " << stage.name << " (finetune of " << stage.model << "), leg " << leg + 1
                << ": " << steps << " steps with factors " << stage.finetune.factors[leg]
                << " on sequences of " << length << " tokens\n  work for one sequence a step: "
                << static_cast<double>(steps * length) << " tokens, " << WorkText(flops) << "\n";
    }
    std::cout << (stage.finetune.command.empty()
                      ? "  no command: the run will stop here and say where to put the checkpoint\n"
                      : "  command: " + stage.finetune.command + "\n");
  }

  void PrintEvaluate(const StageOptions& stage) {
    std::cout << "stage " << stage.name << " (evaluate): " << stage.evaluate.rows.size()
              << " rows, " << stage.documents << " documents\n";
    for (int64_t length : stage.lengths) {
      const double passes = EvaluationPasses(stage, length);
      std::cout << "  at " << length << " tokens: " << passes << " passes\n";
      PrintWork(passes, length);
    }
    PrintMemory(stage.lengths.back());
    PrintDevice(stage.lengths.back());
  }

  const Job& job_;
  const DryRunOptions& options_;
  const ModelConfig& config_;
  const Engine& engine_;
  Calibration calibration_;
  double seconds_ = 0, flops_ = 0;
};

}  // namespace

std::vector<StageOptions> AllSearches(const Job& job) {
  std::vector<StageOptions> all;
  for (const StageOptions& stage : job.stages) {
    if (!stage.Searches()) continue;
    for (StageOptions& search : SearchesOf(stage)) all.push_back(std::move(search));
  }
  return all;
}

double EvaluationPasses(const StageOptions& stage, int64_t length) {
  const EvaluateOptions& options = stage.evaluate;
  const auto rows = static_cast<double>(options.rows.size());
  double passes = 0;
  for (const std::string& protocol : options.protocols) {
    if (protocol == "perplexity") passes += rows * stage.documents;
    if (protocol == "passkey") passes += rows * options.tries;
    if (protocol == "start-tokens") {
      passes += 2.0 * static_cast<double>(stage.start_tokens.size()) * stage.documents;
    }
    if (protocol == "sliding") {
      const int64_t tokens = options.sliding_tokens.value_or(stage.lengths.back());
      const int64_t stride = std::min(options.stride, length);
      const int64_t windows = 1 + std::max<int64_t>(0, tokens - length + stride - 1) / stride;
      passes += rows * stage.documents * static_cast<double>(windows);
    }
  }
  return passes;
}

std::string SearchText(const StagePlan& plan) {
  const StageOptions& options = plan.options;
  std::ostringstream text;
  text << "stage " << options.name << " (" << options.kind << " on " << options.model << ", "
       << options.length << " tokens): " << plan.ratio << " times the original length, "
       << (plan.model.given && options.kind == "search"
               ? NumberText(plan.extra) + " times what its model reaches, genes"
               : std::string("lambda"))
       << " up to " << NumberText(1 + kGridStep * plan.space.max_step()) << "\n"
       << "  evaluations: " << plan.Evaluations() << "\n"
       << "  scores: " << plan.PlannedScores() << " (evaluations on " << options.documents
       << " documents; baselines and the winner on " << options.held_out << " held-out ones too)\n";
  return text.str();
}

void PrintTexts(const Job& job, int64_t vocab) {
  if (!HasTexts(job)) return;
  JobTexts texts(job, {.say = LogMessage, .warn = LogWarning}, false);
  const Reading reading = texts.Open(vocab);
  for (const StageOptions& stage : job.stages) CheckStageAhead(job, stage, reading);
  for (const StageOptions& stage : AllReaders(job)) {
    const auto documents = DrawStageDocuments(job, stage, reading);
    std::cout << "texts of stage " << stage.name << ":\n";
    for (size_t i = 0; i < documents.size(); ++i) {
      const bool fitness = stage.Searches() && i < static_cast<size_t>(stage.documents);
      std::cout << (fitness ? "  fitness: " : "  held-out: ") << DocumentText(documents[i]) << "\n";
    }
  }
}

bool HasTexts(const Job& job) {
  namespace fs = std::filesystem;
  bool missing = false;
  const auto say = [&](const std::string& what) {
    std::cout << "texts: not checked, " << what << " is missing\n";
    missing = true;
  };
  for (const std::string& path : {job.data.path, job.data.train_path, job.data.evaluate_path}) {
    if (!path.empty() && !fs::exists(path)) say(path);
  }
  if (!job.data.tokens && !HasTokenizer(job.model.path)) say("a tokenizer in " + job.model.path);
  return !missing;
}

int DryRun(const Job& job, const DryRunOptions& options) {
  if (!job.backend.command.empty()) return DryRunOfWorkers(job);
  const auto engine = MakeEngineToPlan(BackendOptionsOf(job.backend, LogMessage));
  const ModelConfig config = ModelConfigOf(job.model.path, OverridesOf(job.model));
  for (const StageOptions& stage : AllSearches(job)) {
    PlanStage(stage, ForeseenModel(job, stage, StageModelOf(config)));
    if (!stage.key_model.empty()) ModelConfigOf(stage.key_model, {});
  }
  std::cout << "# the resolved job\n"
            << JobText(job) << "\n# what it will take, with engine " << engine->name() << " on "
            << engine->Threads() << " threads\n";
  if (const std::string note = config.OriginalNote(); !note.empty()) std::cout << note << "\n";
  Costs costs(job, options, config, *engine);
  for (const StageOptions& stage : job.stages) costs.Print(stage);
  costs.PrintTotal();
  PrintTexts(job, config.shape.vocab);
  std::cout << "output: " << job.output.folder << " (a dry run writes nothing)\n";
  return kExitDone;
}

}  // namespace longrope
