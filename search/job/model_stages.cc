#include "search/job/model_stages.h"

#include "eval/backend.h"
#include "eval/errors.h"
#include "search/rng.h"

namespace longrope {

ConfigOverrides OverridesOf(const ModelOptions& options) {
  return {options.original_length, options.rope_base, options.head_dim};
}

std::vector<Document> DrawStageDocuments(const Job& job, const StageOptions& stage,
                                         const Tokenizer& tokenizer) {
  const auto corpus = OpenCorpus({job.data.path, job.data.text_field});
  const DrawOptions draw{stage.length, job.data.min_tokens, stage.documents + stage.held_out,
                         job.data.join};
  return DrawDocuments(*corpus, tokenizer, draw, [&](size_t books) {
    Rng rng(static_cast<uint64_t>(job.seed), stage.name + "/documents", 0, 0);
    return RandomOrder(books, rng);
  });
}

ModelStages::ModelStages(const Job& job, RunObserver& observer) : job_(job), observer_(observer) {}

ModelFolder& ModelStages::Folder() {
  if (folder_) return *folder_;
  engine_ = MakeEngine({job_.backend.name, job_.backend.threads});
  folder_ = std::make_unique<ModelFolder>(job_.model.path, OverridesOf(job_.model));
  if (folder_->config().own_factors) {
    throw InputError(job_.model.path +
                     ": config.json has longrope factors of its own; a search "
                     "starts from a model without");
  }
  return *folder_;
}

RopeShape ModelStages::Shape() { return Folder().config().Rope(); }

Evaluator& ModelStages::For(const StageOptions& stage) {
  ModelFolder& folder = Folder();
  const ModelShape& shape = folder.config().shape;
  const auto tokenizer = OpenTokenizer(job_.model.path, shape.vocab);
  std::vector<Document> documents = DrawStageDocuments(job_, stage, *tokenizer);
  for (size_t i = 0; i < documents.size(); ++i) {
    const bool fitness = i < static_cast<size_t>(stage.documents);
    observer_.OnMessage("stage " + stage.name + ": " + (fitness ? "fitness" : "held-out") +
                        " document '" + documents[i].title + "', its first " +
                        std::to_string(stage.length) + " tokens");
  }
  const bool window = shape.sliding_window >= stage.length;
  if (shape.sliding_window > 0 && !window) {
    observer_.OnMessage("stage " + stage.name + ": the model's sliding window of " +
                        std::to_string(shape.sliding_window) +
                        " tokens is off: factors are applied beyond it");
  }
  if (!scorer_ || window != window_) {
    ScorerOptions options;
    options.memory_bytes = job_.backend.memory_gb
                               ? static_cast<int64_t>(*job_.backend.memory_gb * 1e9)
                               : DefaultMemoryBytes();
    options.longest = stage.length;
    options.sliding_window = window;
    evaluator_.reset();
    scorer_.reset();  // two copies of the weights might not fit
    scorer_ = std::make_unique<Scorer>(*engine_, folder, options);
    window_ = window;
  }
  const ForwardPlan plan = scorer_->Plan(stage.length);
  observer_.OnMessage(
      "stage " + stage.name + ": engine " + std::string(engine_->name()) + ", " +
      std::to_string(engine_->Threads()) + " threads, " +
      (plan.scope == KvScope::kAllLayers ? "chunk by chunk through all layers" : "layer by layer") +
      "; memory: " + plan.account.Text());
  if (digest_.empty()) digest_ = folder.Digest();
  evaluator_ = std::make_unique<ModelEvaluator>(*scorer_, std::move(documents), digest_);
  return *evaluator_;
}

std::string ModelStages::FindNonFiniteWeight() {
  const std::string found = Folder().FindNonFinite();
  return found.empty() ? "" : job_.model.path + ": " + found + " is not finite";
}

}  // namespace longrope
