// A Hugging Face folder: config and weights, ready to be bound to an engine.
#pragma once

#include <deque>
#include <filesystem>
#include <map>
#include <string>

#include "eval/model/model_config.h"
#include "eval/model/safetensors.h"
#include "kernels/weights.h"

namespace longrope {

// Weights by role from model.safetensors, or from the shards of model.safetensors.index.json.
// Files are mapped, never copied. Throws InputError if a tensor is missing, of another shape than
// the config says, or of another type than F32, F16, BF16.
class ModelFolder final : public WeightSource {
 public:
  ModelFolder(const std::filesystem::path& folder, const ConfigOverrides& overrides);

  const ModelConfig& config() const { return config_; }
  TensorView Get(WeightRole role, int layer) const override;
  // A type narrower than F32 if any weight has one (an engine then makes a copy), else F32.
  DType stored() const;
  // SHA-256 over every tensor (name, type, shape, bytes; order of names, so sharding does not
  // matter) and over what the config says of shape and rotation. Reads all weights.
  std::string Digest() const;
  // Name and first place of a weight that is not finite, "" if all are. Reads all weights.
  std::string FindNonFinite() const;

 private:
  const StoredTensor& Tensor(const std::string& name) const;
  TensorView View(const std::string& name, const MatrixSize& size) const;
  void OpenFile(const std::filesystem::path& path);
  void CheckShapes() const;

  std::filesystem::path folder_;
  ModelConfig config_;
  std::deque<SafetensorsFile> files_;
  std::map<std::string, const StoredTensor*> tensors_;
};

}  // namespace longrope
