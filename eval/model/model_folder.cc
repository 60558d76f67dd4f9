#include "eval/model/model_folder.h"

#include <cmath>
#include <set>

#include "eval/errors.h"
#include "eval/model/json_file.h"
#include "eval/storage/digest.h"
#include "kernels/dtype.h"

namespace longrope {
namespace {

std::optional<DType> TypeNamed(const std::string& name) {
  if (name == "F32") return DType::kF32;
  if (name == "F16") return DType::kF16;
  if (name == "BF16") return DType::kBF16;
  return std::nullopt;
}

std::string ShapeText(const std::vector<int64_t>& shape) {
  std::string text = "[";
  for (int64_t size : shape) text += (text.size() > 1 ? ", " : "") + std::to_string(size);
  return text + "]";
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
  CheckShapes();
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
  const auto [rows, cols] = size;
  const StoredTensor& tensor = Tensor(name);
  const std::vector<int64_t> expected =
      rows == 1 ? std::vector<int64_t>{cols} : std::vector<int64_t>{rows, cols};
  if (tensor.shape != expected) {
    throw InputError(folder_.string() + ": tensor " + name + " is " + ShapeText(tensor.shape) +
                     ", config.json asks for " + ShapeText(expected));
  }
  const auto type = TypeNamed(tensor.dtype);
  if (!type) {
    throw InputError(folder_.string() + ": tensor " + name + " is of type " + tensor.dtype +
                     "; allowed: F32, F16, BF16");
  }
  return {tensor.bytes.data(), *type, rows, cols};
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

void ModelFolder::CheckShapes() const {
  for (int layer = 0; layer < config_.shape.layers; ++layer) {
    for (const WeightRole role : kLayerRoles) Get(role, layer);
  }
  for (auto role : {WeightRole::kEmbedding, WeightRole::kFinalNorm, WeightRole::kHead}) {
    Get(role, 0);
  }
}

DType ModelFolder::stored() const {
  for (const auto& [name, tensor] : tensors_) {
    const auto type = TypeNamed(tensor->dtype);
    if (type && *type != DType::kF32) return *type;
  }
  return DType::kF32;
}

std::string ModelFolder::Digest() const {
  const ModelShape& s = config_.shape;
  Sha256 hash;
  for (int64_t number : {int64_t{s.layers}, int64_t{s.hidden}, int64_t{s.heads},
                         int64_t{s.kv_heads}, int64_t{s.head_dim}, int64_t{s.ffn}, int64_t{s.vocab},
                         s.sliding_window, int64_t{config_.tied_head}}) {
    hash.Add(std::to_string(number) + ",");
  }
  hash.Add(Json(s.norm_epsilon).dump() + "," + Json(config_.rope_base).dump());
  if (config_.own_factors) {
    for (const auto& [length, factors] : config_.own_factors->set.buckets) {
      hash.Add(" " + std::to_string(length) + " " + Json(factors.lambda).dump() + " " +
               std::to_string(factors.start_tokens) + " " + Json(factors.attention_factor).dump());
    }
    if (const auto& dynamic = config_.own_factors->dynamic) {
      hash.Add(" dynamic " + std::to_string(dynamic->from.original_length) + " " +
               Json(dynamic->factor).dump());
    }
  }
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
    const int64_t count = static_cast<int64_t>(tensor->bytes.size()) / SizeOf(*type);
    for (int64_t i = 0; i < count; ++i) {
      if (!std::isfinite(LoadFloat(tensor->bytes.data(), *type, i))) {
        return "tensor " + name + ", element " + std::to_string(i);
      }
    }
  }
  return "";
}

}  // namespace longrope
