// A model bound to an engine, ready to score documents under any factors.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <stop_token>
#include <vector>

#include "eval/evaluator.h"
#include "eval/forward.h"
#include "eval/model/model_source.h"
#include "eval/text/document.h"

namespace longrope {

struct ScorerOptions {
  int64_t memory_bytes = 0;  // that one document may take, weights included; 0: what is free
  int64_t longest = 2;  // tokens of the longest document to come: refused before weights are bound
  // Mask keys beyond the model's sliding window. Off where factors extend the model beyond it.
  bool sliding_window = true;
  int devices = 1;  // that still take memory of one host: this scorer's and those made after it
};

// Not thread-safe: the engine uses all its threads for one document.
class Scorer {
 public:
  // `engine` and `source` outlive the scorer. Throws InputError if the weights do not fit.
  Scorer(const Engine& engine, const ModelSource& source, const ScorerOptions& options);

  const Engine& engine() const { return engine_; }
  int64_t sliding_window() const { return shape_.sliding_window; }  // 0 where it is off
  // Throws InputError if documents of that many tokens do not fit into memory.
  ForwardPlan Plan(int64_t tokens) const;
  // As forward.h's TokenNats.
  std::optional<std::vector<double>> TokenNats(std::span<const int32_t> tokens,
                                               const RopeFactors& factors,
                                               std::stop_token stop = {},
                                               std::span<const uint8_t> scored = {}) const;
  // As forward.h's ScoreEachToken.
  std::optional<TokenScores> ScoreEachToken(std::span<const int32_t> tokens,
                                            const RopeFactors& factors, std::stop_token stop = {},
                                            std::span<const uint8_t> scored = {}) const;
  // The sum of TokenNats, over the tokens that are scored.
  std::optional<Score> ScoreTokens(std::span<const int32_t> tokens, const RopeFactors& factors,
                                   std::stop_token stop = {},
                                   std::span<const uint8_t> scored = {}) const;

 private:
  // Positions of the rows that score `tokens`.
  RopeTable TableOf(const RopeFactors& factors, std::span<const int32_t> tokens) const;

  const Engine& engine_;
  const ModelSource& source_;
  ScorerOptions options_;
  ModelShape shape_;
  std::unique_ptr<Model> model_;
};

// What ForwardPlan needs for documents of `tokens` tokens of this model, bound for the `longest`.
ForwardNeeds NeedsOf(const ModelConfig& config, DType stored, int64_t tokens, int64_t longest);

// Scores fixed documents on a Scorer.
class ModelEvaluator final : public Evaluator {
 public:
  // `scorer` outlives the evaluator. `digest`: of the model.
  ModelEvaluator(const Scorer& scorer, std::vector<Document> documents, std::string digest);
  void Run(std::span<const Task> tasks, const Done& done, std::stop_token stop) override;
  FingerprintParts Fingerprint() const override;

 private:
  const Scorer& scorer_;
  std::vector<Document> documents_;
  std::string digest_;
};

}  // namespace longrope
