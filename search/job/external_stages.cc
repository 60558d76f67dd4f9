#include "search/job/external_stages.h"

#include <utility>

#include "eval/errors.h"
#include "search/job/stage_documents.h"

namespace longrope {

StageModel StageModelOf(const WorkerHello& hello, const ModelOptions& options) {
  StageModel model{hello.shape, std::nullopt};
  if (hello.given) model.given = hello.given->Longest();
  model.shape.original_length = options.original_length.value_or(hello.shape.original_length);
  if (model.shape.original_length == 0) {
    throw InputError(
        "model.original_length: the workers do not say on how many tokens the model was trained; "
        "allowed: state it");
  }
  return model;
}

StageModel ExternalStages::ModelAt(const std::string&) {
  return StageModelOf(*team_.Greet({}), job_.model);
}

Evaluator* ExternalStages::For(const StageOptions& stage, const std::string&,
                               std::stop_token stop) {
  evaluator_.reset();
  if (stop.stop_requested()) return nullptr;
  const WorkerHello& hello = *team_.Greet({});
  auto documents = DrawAnnounced(job_, stage, texts_.Open(hello.vocab, std::move(stop)), observer_);
  if (!documents) return nullptr;
  if (hello.given && stage.kind == "search") {
    observer_.OnMessage(
        "stage " + stage.name + ": starts from the factors of the workers' model (" +
        std::to_string(hello.given->Longest().length) + " tokens); what it finds multiplies them");
  }
  if (stage.objective == "tail") {
    MarkTail(stage, StageModelOf(hello, job_.model).shape.original_length, &*documents);
  }
  evaluator_ = std::make_unique<ExternalEvaluator>(team_, hello, std::move(*documents));
  return evaluator_.get();
}

}  // namespace longrope
