#include "eval/scorer.h"

#include <algorithm>
#include <iterator>

#include "eval/backend.h"
#include "eval/document_parts.h"
#include "eval/errors.h"
#include "eval/rope_builder.h"
#include "kernels/device_error.h"

namespace longrope {
namespace {

// Rotations depend on the original length only where a method computes factors from it.
RopeShape RotationOf(const ModelConfig& config) {
  return {config.shape.head_dim, config.rope_base, 0};
}

}  // namespace

ForwardNeeds NeedsOf(const ModelConfig& config, DType stored, int64_t tokens, int64_t longest) {
  return {config.shape,     stored,  RotationOf(config), tokens,
          config.tied_head, longest, config.paired_heads};
}

Scorer::Scorer(const Engine& engine, const ModelSource& source, const ScorerOptions& options)
    : engine_(engine), source_(source), options_(options), shape_(source.config().shape) {
  if (!options.sliding_window) shape_.sliding_window = 0;
  // Before memory is taken for the weights.
  const ForwardPlan plan = Plan(options.longest);
  if (plan.account.device && plan.account.Host() * options.devices > DefaultMemoryBytes()) {
    throw InputError("a document of " + std::to_string(options.longest) + " tokens needs " +
                     plan.account.Text() + " of memory" +
                     (options.devices > 1
                          ? ", as many times as the " + std::to_string(options.devices) +
                                " devices that are still to get the model"
                          : "") +
                     "; that is more than the host has free");
  }
  model_ = engine.Bind(shape_, source, options.longest);
}

ForwardPlan Scorer::Plan(int64_t tokens) const {
  return PlanForward(engine_, NeedsOf(source_.config(), source_.stored(), tokens, options_.longest),
                     MemoryLimit(engine_, options_.memory_bytes));
}

RopeTable Scorer::TableOf(const RopeFactors& factors, std::span<const int32_t> tokens) const {
  return BuildRopeTable(factors, RotationOf(source_.config()),
                        static_cast<int64_t>(tokens.size()) - 1, engine_.Threads());
}

std::optional<std::vector<double>> Scorer::TokenNats(std::span<const int32_t> tokens,
                                                     const RopeFactors& factors,
                                                     std::stop_token stop,
                                                     std::span<const uint8_t> scored) const {
  const ForwardPlan plan = Plan(static_cast<int64_t>(tokens.size()));
  return longrope::TokenNats(*model_, shape_, plan, tokens, TableOf(factors, tokens),
                             std::move(stop), scored);
}

std::optional<TokenScores> Scorer::ScoreEachToken(std::span<const int32_t> tokens,
                                                  const RopeFactors& factors, std::stop_token stop,
                                                  std::span<const uint8_t> scored) const {
  const ForwardPlan plan = Plan(static_cast<int64_t>(tokens.size()));
  return longrope::ScoreEachToken(*model_, shape_, plan, tokens, TableOf(factors, tokens),
                                  std::move(stop), scored);
}

std::optional<Score> Scorer::ScoreTokens(std::span<const int32_t> tokens,
                                         const RopeFactors& factors, std::stop_token stop,
                                         std::span<const uint8_t> scored) const {
  const auto nats = TokenNats(tokens, factors, std::move(stop), scored);
  if (!nats) return std::nullopt;
  Score score;
  for (double value : *nats) score.nats += value;
  score.tokens = scored.empty() ? static_cast<int64_t>(nats->size())
                                : std::count(scored.begin() + 1, scored.end(), uint8_t{1});
  return score;
}

ModelEvaluator::ModelEvaluator(const Scorer& scorer, std::vector<Document> documents,
                               std::string digest)
    : scorer_(scorer), documents_(std::move(documents)), digest_(std::move(digest)) {}

void ModelEvaluator::Run(std::span<const Task> tasks, const Done& done, std::stop_token stop) {
  for (const Task& task : tasks) {
    const Document& document = documents_[static_cast<size_t>(task.document)];
    std::optional<Score> score;
    try {
      score = scorer_.ScoreTokens(document.tokens, task.factors, stop, document.scored);
    } catch (const DeviceError& error) {
      throw DeviceError(error.kind(), TaskText(task, document.title) + ": " + error.what());
    }
    if (!score) return;
    done(task, *score);
  }
}

FingerprintParts ModelEvaluator::Fingerprint() const {
  FingerprintParts parts = {{"model", digest_},
                            {"engine", std::string(scorer_.engine().name())},
                            {"build", std::string(scorer_.engine().build())},
                            {"sliding window", std::to_string(scorer_.sliding_window())}};
  std::ranges::move(DocumentParts(documents_), std::back_inserter(parts));
  return parts;
}

}  // namespace longrope
