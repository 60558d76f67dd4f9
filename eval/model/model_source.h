// A model as its user has it: a Hugging Face folder or a GGUF file, ready to be bound to an engine.
#pragma once

#include <filesystem>
#include <memory>
#include <optional>
#include <string>

#include "eval/model/model_config.h"
#include "kernels/weights.h"

namespace longrope {

// Config and weights by role. Files are mapped, never copied.
class ModelSource : public WeightSource {
 public:
  virtual const ModelConfig& config() const = 0;
  // F32 if every weight is stored so, else a format that is not (an engine then makes a copy).
  virtual DType stored() const = 0;
  // SHA-256 over every tensor (name, type, shape, bytes; order of names, so the number of files
  // does not matter) and over what the config says of shape and rotation. Reads all weights.
  virtual std::string Digest() const = 0;
  // Name and first place of a weight that is not finite, "" if all are. Reads all weights.
  virtual std::string FindNonFinite() const = 0;
};

// The GGUF file that a model's path means: a file that begins as GGUF does or that is named
// *.gguf; or the only *.gguf, or the first part of the only split one, of a folder without
// config.json. nullopt: a Hugging Face folder. Throws InputError for a folder of several GGUF files
// and for any other file.
std::optional<std::filesystem::path> GgufFileOf(const std::filesystem::path& path);

// Throws InputError if the path means one; `what` needs a Hugging Face folder.
void RefuseGguf(const std::filesystem::path& path, const std::string& what);

// Opens either. Throws InputError as ModelFolder and GgufModel do.
std::unique_ptr<ModelSource> OpenModel(const std::filesystem::path& path,
                                       const ConfigOverrides& overrides);
// Its config alone; weights are not looked at. Throws InputError as ReadModelConfig does.
ModelConfig ModelConfigOf(const std::filesystem::path& path, const ConfigOverrides& overrides);

// What ModelSource::Digest takes of a config.
std::string DigestText(const ModelConfig& config);

}  // namespace longrope
