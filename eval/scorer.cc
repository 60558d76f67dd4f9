#include "eval/scorer.h"

#include "eval/errors.h"
#include "eval/rope_builder.h"

namespace longrope {
namespace {

// Rotations depend on the original length only where a method computes factors from it.
RopeShape RotationOf(const ModelConfig& config) {
  return {config.shape.head_dim, config.rope_base, 0};
}

}  // namespace

ForwardNeeds NeedsOf(const ModelConfig& config, DType stored, int64_t tokens) {
  return {config.shape, stored, RotationOf(config), tokens};
}

Scorer::Scorer(const Engine& engine, const ModelFolder& folder, const ScorerOptions& options)
    : engine_(engine), folder_(folder), options_(options), shape_(folder.config().shape) {
  if (!options.sliding_window) shape_.sliding_window = 0;
  Plan(options.longest);  // before memory is taken for the weights
  model_ = engine.Bind(shape_, folder);
}

ForwardPlan Scorer::Plan(int64_t tokens) const {
  return PlanForward(engine_, NeedsOf(folder_.config(), folder_.stored(), tokens),
                     options_.memory_bytes);
}

std::optional<Score> Scorer::ScoreTokens(std::span<const int32_t> tokens,
                                         const RopeFactors& factors, std::stop_token stop) const {
  const auto count = static_cast<int64_t>(tokens.size());
  const ForwardPlan plan = Plan(count);
  const RopeTable table =
      BuildRopeTable(factors, RotationOf(folder_.config()), count - 1, engine_.Threads());
  const auto nats = TokenNats(*model_, shape_, plan, tokens, table, std::move(stop));
  if (!nats) return std::nullopt;
  Score score{0, count - 1};
  for (double value : *nats) score.nats += value;
  return score;
}

ModelEvaluator::ModelEvaluator(const Scorer& scorer, std::vector<Document> documents,
                               std::string digest)
    : scorer_(scorer), documents_(std::move(documents)), digest_(std::move(digest)) {}

void ModelEvaluator::Run(std::span<const Task> tasks, const Done& done, std::stop_token stop) {
  for (const Task& task : tasks) {
    const auto& tokens = documents_[static_cast<size_t>(task.document)].tokens;
    const auto score = scorer_.ScoreTokens(tokens, task.factors, stop);
    if (!score) return;
    done(task, *score);
  }
}

FingerprintParts ModelEvaluator::Fingerprint() const {
  FingerprintParts parts = {{"model", digest_},
                            {"engine", std::string(scorer_.engine().name())},
                            {"build", std::string(scorer_.engine().build())},
                            {"sliding window", std::to_string(scorer_.sliding_window())}};
  for (size_t i = 0; i < documents_.size(); ++i) {
    parts.emplace_back("document " + std::to_string(i),
                       documents_[i].title + " " + documents_[i].digest);
  }
  return parts;
}

}  // namespace longrope
