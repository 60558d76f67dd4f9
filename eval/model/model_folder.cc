#include "eval/model/model_folder.h"

#include <set>

#include "eval/errors.h"
#include "eval/model/json_file.h"
#include "eval/model/tensor_shape.h"
#include "eval/storage/digest.h"

namespace longrope {
namespace {

std::optional<DType> TypeNamed(const std::string& name) {
  if (name == "F32") return DType::kF32;
  if (name == "F16") return DType::kF16;
  if (name == "BF16") return DType::kBF16;
  return std::nullopt;
}

// Files that the index names, each once.
std::set<std::string> Shards(const std::filesystem::path& index_path) {
  const JsonObject map = ReadJsonObject(index_path, 100 << 20).Object("weight_map");
  std::set<std::string> shards;
  for (const std::string& key : map.Keys()) {
    const std::string file = map.Text(key).value_or("");
    // A shard stands beside its index: nothing else may be opened through it.
    if (file.empty() || std::filesystem::path(file).filename() != file || file == "..") {
      map.Refuse(key, "'" + file + "' is not a file name");
    }
    shards.insert(file);
  }
  if (shards.empty()) throw InputError(index_path.string() + ": weight_map names no file");
  return shards;
}

}  // namespace

ModelFolder::ModelFolder(const std::filesystem::path& folder, const ConfigOverrides& overrides)
    : folder_(folder), config_(ReadModelConfig(folder, overrides)) {
  const auto single = folder / "model.safetensors", index = folder / "model.safetensors.index.json";
  if (std::filesystem::exists(single)) {
    OpenFile(single);
  } else if (std::filesystem::exists(index)) {
    for (const std::string& shard : Shards(index)) OpenFile(folder / shard);
  } else {
    throw InputError(folder.string() +
                     ": holds neither model.safetensors nor "
                     "model.safetensors.index.json");
  }
  ForEveryWeight(config_.shape.layers, [this](WeightRole role, int layer) { Get(role, layer); });
}

void ModelFolder::OpenFile(const std::filesystem::path& path) {
  const SafetensorsFile& file = files_.emplace_back(path);
  for (const auto& [name, tensor] : file.tensors()) {
    if (!tensors_.emplace(name, &tensor).second) {
      throw InputError(path.string() + ": tensor " + name + " stands in another shard too");
    }
  }
}

const StoredTensor& ModelFolder::Tensor(const std::string& name) const {
  const auto found = tensors_.find(name);
  if (found == tensors_.end()) {
    throw InputError(folder_.string() + ": tensor " + name + " is missing");
  }
  return *found->second;
}

TensorView ModelFolder::View(const std::string& name, const MatrixSize& size) const {
  const StoredTensor& tensor = Tensor(name);
  if (tensor.shape != ShapeOf(size)) {
    throw InputError(folder_.string() + ": tensor " + name + " is " + ShapeText(tensor.shape) +
                     ", config.json asks for " + ShapeText(ShapeOf(size)));
  }
  const auto type = TypeNamed(tensor.dtype);
  if (!type) {
    throw InputError(folder_.string() + ": tensor " + name + " is of type " + tensor.dtype +
                     "; allowed: F32, F16, BF16");
  }
  return {tensor.bytes.data(), *type, size.rows, size.cols};
}

TensorView ModelFolder::Get(WeightRole role, int layer) const {
  const std::string block = "model.layers." + std::to_string(layer) + ".";
  const MatrixSize size = WeightSize(role, config_.shape);
  switch (role) {
    case WeightRole::kEmbedding:
      return View("model.embed_tokens.weight", size);
    case WeightRole::kInputNorm:
      return View(block + "input_layernorm.weight", size);
    case WeightRole::kQuery:
      return View(block + "self_attn.q_proj.weight", size);
    case WeightRole::kKey:
      return View(block + "self_attn.k_proj.weight", size);
    case WeightRole::kValue:
      return View(block + "self_attn.v_proj.weight", size);
    case WeightRole::kOutput:
      return View(block + "self_attn.o_proj.weight", size);
    case WeightRole::kFfnNorm:
      return View(block + "post_attention_layernorm.weight", size);
    case WeightRole::kGate:
      return View(block + "mlp.gate_proj.weight", size);
    case WeightRole::kUp:
      return View(block + "mlp.up_proj.weight", size);
    case WeightRole::kDown:
      return View(block + "mlp.down_proj.weight", size);
    case WeightRole::kFinalNorm:
      return View("model.norm.weight", size);
    case WeightRole::kHead:
      return View(config_.tied_head ? "model.embed_tokens.weight" : "lm_head.weight", size);
  }
  throw std::logic_error("unknown weight role");
}

DType ModelFolder::stored() const {
  for (const auto& [name, tensor] : tensors_) {
    const auto type = TypeNamed(tensor->dtype);
    if (type && *type != DType::kF32) return *type;
  }
  return DType::kF32;
}

std::string ModelFolder::Digest() const {
  Sha256 hash;
  hash.Add(DigestText(config_));
  for (const auto& [name, tensor] : tensors_) {
    hash.Add(name + " " + tensor->dtype + " " + ShapeText(tensor->shape) + "\n");
    hash.Add(tensor->bytes);
  }
  return Hex(hash.Finish());
}

std::string ModelFolder::FindNonFinite() const {
  for (const auto& [name, tensor] : tensors_) {
    const auto type = TypeNamed(tensor->dtype);
    if (!type) continue;
    if (const auto found = FirstNonFinite(tensor->bytes, *type)) {
      return "tensor " + name + ", element " + std::to_string(*found);
    }
  }
  return "";
}

}  // namespace longrope
