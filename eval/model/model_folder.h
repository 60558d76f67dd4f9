// A Hugging Face folder: config and weights, ready to be bound to an engine.
#pragma once

#include <deque>
#include <filesystem>
#include <map>
#include <string>

#include "eval/model/model_source.h"
#include "eval/model/safetensors.h"
#include "kernels/weights.h"

namespace longrope {

// Weights by role from model.safetensors, or from the shards of model.safetensors.index.json.
// Files are mapped, never copied. Throws InputError if a tensor is missing, of another shape than
// the config says, or of another type than F32, F16, BF16.
class ModelFolder final : public ModelSource {
 public:
  ModelFolder(const std::filesystem::path& folder, const ConfigOverrides& overrides);

  const ModelConfig& config() const override { return config_; }
  TensorView Get(WeightRole role, int layer) const override;
  DType stored() const override;
  std::string Digest() const override;
  std::string FindNonFinite() const override;

 private:
  const StoredTensor& Tensor(const std::string& name) const;
  TensorView View(const std::string& name, const MatrixSize& size) const;
  void OpenFile(const std::filesystem::path& path);

  std::filesystem::path folder_;
  ModelConfig config_;
  std::deque<SafetensorsFile> files_;
  std::map<std::string, const StoredTensor*> tensors_;
};

}  // namespace longrope
