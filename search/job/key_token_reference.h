// The model that says which tokens of a stage's documents are key tokens.
#pragma once

#include <optional>
#include <span>
#include <stop_token>
#include <string>
#include <vector>

#include "eval/scorer.h"
#include "search/job/job_options.h"

namespace longrope {

class KeyTokenReference {
 public:
  // The stage's key_model, else the job's. Both contexts are read with the factors of its config
  // or, where it has none, with key_method over the whole length and the plain rotation within the
  // original one. Everything outlives the reference. Throws InputError if the model cannot be read
  // or has another tokenizer.
  KeyTokenReference(const Engine& engine, const Job& job, const StageOptions& stage,
                    const Tokenizer& tokenizer);

  // As KeyTokens.
  std::optional<std::vector<uint8_t>> Mark(std::span<const int32_t> tokens,
                                           std::span<const int32_t> prefix,
                                           std::stop_token stop) const;
  // What it is, for messages.
  std::string Text() const;

 private:
  RopeFactors FactorsFor(int64_t length) const;

  const StageOptions& stage_;
  ModelFolder folder_;
  Scorer scorer_;
  int64_t window_;  // the original length
};

}  // namespace longrope
