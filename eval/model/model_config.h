// config.json of a Hugging Face folder, LLaMA and Mistral families.
#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>

#include "eval/model/rope_scaling.h"
#include "eval/rope_factors.h"
#include "kernels/weights.h"

namespace longrope {

// What a job may set over the config.
struct ConfigOverrides {
  std::optional<int64_t> original_length;  // tokens
  std::optional<double> rope_base;
  std::optional<int64_t> head_dim;
};

struct ModelConfig {
  std::string family;  // "llama" or "mistral"
  ModelShape shape;    // sliding_window: as the config states it
  bool tied_head = false;
  DType stored = DType::kF32;  // torch_dtype as stated: an estimate until the weights are read
  double rope_base = 10000;
  // From the job, else original_max_position_embeddings, else a LLaMA's max_position_embeddings.
  // A Mistral's cannot be told from its config: empty unless stated.
  std::optional<int64_t> original_length;
  // Not empty where that is a guess that its user should know of: from where it was taken.
  std::string original_from;
  std::optional<OwnFactors> own_factors;  // of a model whose rotation is rescaled
  bool paired_heads = false;  // rows of queries and keys are stored pair by pair (weights.h)

  // Throws InputError if the original length is unknown, telling how to state it.
  int64_t OriginalLength() const;
  // One line of that guess and of what to do about it; "" for none.
  std::string OriginalNote() const;
  RopeShape Rope() const;       // calls OriginalLength()
  RopeShape KnownRope() const;  // original_length 0 where it is unknown
};

// Throws InputError, by name, for what cannot be honoured: another architecture or activation,
// biases, a scaling that is not known, a partial rotation, sizes that do not fit.
ModelConfig ReadModelConfig(const std::filesystem::path& folder, const ConfigOverrides& overrides);

}  // namespace longrope
