#include "eval/model/gguf_model.h"

#include <set>

#include "eval/errors.h"
#include "eval/model/tensor_shape.h"
#include "eval/storage/digest.h"

namespace longrope {
namespace {

std::string NameOf(WeightRole role, int layer, bool tied_head) {
  const std::string block = "blk." + std::to_string(layer) + ".";
  switch (role) {
    case WeightRole::kEmbedding:
      return kEmbeddingName;
    case WeightRole::kInputNorm:
      return block + "attn_norm.weight";
    case WeightRole::kQuery:
      return block + "attn_q.weight";
    case WeightRole::kKey:
      return block + "attn_k.weight";
    case WeightRole::kValue:
      return block + "attn_v.weight";
    case WeightRole::kOutput:
      return block + "attn_output.weight";
    case WeightRole::kFfnNorm:
      return block + "ffn_norm.weight";
    case WeightRole::kGate:
      return block + "ffn_gate.weight";
    case WeightRole::kUp:
      return block + "ffn_up.weight";
    case WeightRole::kDown:
      return block + "ffn_down.weight";
    case WeightRole::kFinalNorm:
      return "output_norm.weight";
    case WeightRole::kHead:
      return tied_head ? kEmbeddingName : kHeadName;
  }
  throw std::logic_error("unknown weight role");
}

bool IsPaired(WeightRole role) { return role == WeightRole::kQuery || role == WeightRole::kKey; }

const GgufTensor& TensorNamed(const GgufFile& file, const std::string& name) {
  const auto found = file.tensors().find(name);
  if (found == file.tensors().end()) {
    throw InputError(file.name() + ": tensor " + name + " is missing");
  }
  return found->second;
}

}  // namespace

GgufModel::GgufModel(const std::filesystem::path& path, const ConfigOverrides& overrides)
    : file_(path), config_(GgufConfig(file_, overrides)) {
  CheckTensors();
}

TensorView GgufModel::Get(WeightRole role, int layer) const {
  const MatrixSize size = WeightSize(role, config_.shape);
  const std::string name = NameOf(role, layer, config_.tied_head);
  const GgufTensor& tensor = TensorNamed(file_, name);
  if (tensor.shape != ShapeOf(size)) {
    throw InputError(file_.name() + ": tensor " + name + " is " + ShapeText(tensor.shape) +
                     ", the keys ask for " + ShapeText(ShapeOf(size)));
  }
  return {tensor.bytes.data(), tensor.dtype, size.rows, size.cols,
          IsPaired(role) ? config_.shape.head_dim : 0};
}

void GgufModel::CheckTensors() const {
  std::set<std::string> known = {kRopeFreqsName, kShortFactorsName, kLongFactorsName};
  ForEveryWeight(config_.shape.layers, [&](WeightRole role, int layer) {
    Get(role, layer);
    known.insert(NameOf(role, layer, config_.tied_head));
  });
  for (const auto& [name, tensor] : file_.tensors()) {
    if (!known.contains(name)) {
      throw InputError(file_.name() + ": tensor " + name +
                       " is not one of the llama architecture as this program computes it");
    }
  }
}

std::string GgufModel::Digest() const {
  Sha256 hash;
  hash.Add("gguf " + DigestText(config_) + "\n");
  for (const auto& [name, tensor] : file_.tensors()) {
    hash.Add(name + " " + longrope::NameOf(tensor.dtype) + " " + ShapeText(tensor.shape) + "\n");
    hash.Add(tensor.bytes);
  }
  return Hex(hash.Finish());
}

std::string GgufModel::FindNonFinite() const {
  for (const auto& [name, tensor] : file_.tensors()) {
    if (const auto found = FirstNonFinite(tensor.bytes, tensor.dtype)) {
      return "tensor " + name + ", element " + std::to_string(*found);
    }
  }
  return "";
}

}  // namespace longrope
