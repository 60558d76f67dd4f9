// The model that says which tokens of a stage's documents are key tokens.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <stop_token>
#include <string>
#include <vector>

#include "eval/scorer.h"
#include "eval/text/tokenizer.h"
#include "search/job/job_options.h"

namespace longrope {

class KeyTokenReference {
 public:
  // The stage's key_model, else the job's. A text is read with the factors of its config or, where
  // it has none, with the plain rotation up to its own original length and key_method beyond.
  // `window`: the short context, in tokens: the original length of the job's model. Everything
  // outlives the reference. Throws InputError if the model cannot be read or has another tokenizer.
  KeyTokenReference(const Engine& engine, const Job& job, const StageOptions& stage,
                    const Tokenizer& tokenizer, int64_t window);

  // As KeyTokens.
  std::optional<std::vector<uint8_t>> Mark(std::span<const int32_t> tokens,
                                           std::span<const int32_t> prefix, std::stop_token stop);
  // What it is: model, rotation, rule.
  const std::string& text() const { return text_; }

 private:
  RopeFactors FactorsFor(int64_t length) const;

  const Engine& engine_;
  const Job& job_;
  const StageOptions& stage_;
  std::unique_ptr<ModelSource> source_;
  int64_t window_;
  std::string text_;
  std::unique_ptr<Scorer> scorer_;  // bound when it is needed
};

}  // namespace longrope
