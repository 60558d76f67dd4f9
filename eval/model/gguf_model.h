// A GGUF file of the `llama` architecture, ready to be bound to an engine.
#pragma once

#include <filesystem>
#include <string>

#include "eval/model/gguf_config.h"
#include "eval/model/gguf_file.h"
#include "eval/model/model_source.h"

namespace longrope {

// Weights by role, as stored: rows of queries and keys are paired (TensorView). Throws InputError
// for a tensor that is missing, of another shape than the keys say, or not known.
class GgufModel final : public ModelSource {
 public:
  GgufModel(const std::filesystem::path& path, const ConfigOverrides& overrides);

  const ModelConfig& config() const override { return config_; }
  TensorView Get(WeightRole role, int layer) const override;
  DType stored() const override { return config_.stored; }
  std::string Digest() const override;
  std::string FindNonFinite() const override;

 private:
  void CheckTensors() const;

  GgufFile file_;
  ModelConfig config_;
};

}  // namespace longrope
