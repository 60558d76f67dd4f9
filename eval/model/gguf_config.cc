#include "eval/model/gguf_config.h"

#include <algorithm>
#include <cstring>

#include "eval/errors.h"
#include "eval/model/model_limits.h"
#include "eval/shown_text.h"

namespace longrope {
namespace {

constexpr int64_t kMaxLayers = 512;

constexpr const char* kArchitecture = "general.architecture";
constexpr const char* kContext = "llama.context_length";
constexpr const char* kHeads = "llama.attention.head_count";
constexpr const char* kKvHeads = "llama.attention.head_count_kv";
constexpr const char* kKeyLength = "llama.attention.key_length";
constexpr const char* kScalingType = "llama.rope.scaling.type";
constexpr const char* kScalingFactor = "llama.rope.scaling.factor";
constexpr const char* kOldScalingFactor = "llama.rope.scale_linear";
constexpr const char* kAttentionFactor = "llama.rope.scaling.attn_factor";
constexpr const char* kOriginal = "llama.rope.scaling.original_context_length";

int Size(const GgufValues& values, const char* key, int64_t most = kMaxSize) {
  const auto value = values.Integer(key, 1, most);
  if (!value) values.Refuse(key, "missing");
  return static_cast<int>(*value);
}

void RefuseWhatIsNotComputed(const GgufValues& values) {
  const std::string architecture = values.Text(kArchitecture).value_or("");
  if (architecture != "llama") {
    values.Refuse(kArchitecture, Quoted(architecture) +
                                     " is not supported; allowed: llama (Mistral's is llama too)");
  }
  if (values.Integer("llama.expert_count", 0, kMaxSize).value_or(0) > 0) {
    values.Refuse("llama.expert_count", "mixtures of experts are not supported; allowed: 0");
  }
}

int HeadDim(const GgufValues& values, const ModelShape& shape, const ConfigOverrides& overrides) {
  int64_t head_dim = 0;
  if (overrides.head_dim) {
    head_dim = *overrides.head_dim;
  } else if (values.Has(kKeyLength)) {
    head_dim = Size(values, kKeyLength);
  } else if (shape.hidden % shape.heads == 0) {
    head_dim = shape.hidden / shape.heads;
  } else {
    values.Refuse(kKeyLength, "missing, and the heads do not divide llama.embedding_length");
  }
  if (!IsHeadDim(head_dim)) {
    values.Refuse(kKeyLength, std::to_string(head_dim) + "; allowed: " + kHeadDimsAllowed);
  }
  for (const char* key : {"llama.attention.value_length", "llama.rope.dimension_count"}) {
    const int64_t other = values.Integer(key, 1, kMaxSize).value_or(head_dim);
    if (other != head_dim) {
      values.Refuse(
          key, std::to_string(other) + "; allowed: the head's size, " + std::to_string(head_dim));
    }
  }
  return static_cast<int>(head_dim);
}

int Vocabulary(const GgufFile& file) {
  const std::string prefix = file.name() + ": tensor " + kEmbeddingName;
  const auto found = file.tensors().find(std::string_view(kEmbeddingName));
  if (found == file.tensors().end()) throw InputError(prefix + " is missing");
  const std::vector<int64_t>& shape = found->second.shape;
  if (shape.size() != 2 || shape[0] < 1 || shape[0] > kMaxSize) {
    throw InputError(prefix + " is no matrix of 1 to " + std::to_string(kMaxSize) + " tokens");
  }
  return static_cast<int>(shape[0]);
}

ModelShape Shape(const GgufFile& file, const ConfigOverrides& overrides) {
  const GgufValues& values = file.values();
  ModelShape shape;
  shape.layers = Size(values, "llama.block_count", kMaxLayers);
  shape.hidden = Size(values, "llama.embedding_length");
  shape.heads = Size(values, kHeads);
  shape.kv_heads = values.Has(kKvHeads) ? Size(values, kKvHeads) : shape.heads;
  shape.ffn = Size(values, "llama.feed_forward_length");
  shape.vocab = Vocabulary(file);
  if (shape.heads % shape.kv_heads != 0) {
    values.Refuse(kKvHeads, "does not divide llama.attention.head_count");
  }
  shape.head_dim = HeadDim(values, shape, overrides);
  if (shape.QueryWidth() > kMaxSize) values.Refuse(kHeads, "times the head's size is too large");
  constexpr const char* kEpsilon = "llama.attention.layer_norm_rms_epsilon";
  const auto epsilon = values.Number(kEpsilon);
  if (!epsilon) values.Refuse(kEpsilon, "missing");
  if (!IsNormEpsilon(*epsilon)) values.Refuse(kEpsilon, "allowed: above 0 and below 1");
  shape.norm_epsilon = static_cast<float>(*epsilon);
  shape.sliding_window =
      values.Integer("llama.attention.sliding_window", 0, kMaxLength).value_or(0);
  return shape;
}

// A tensor of factors; nullopt if it is missing.
std::optional<std::vector<float>> FactorTensor(const GgufFile& file, const char* name, int pairs) {
  const auto found = file.tensors().find(name);
  if (found == file.tensors().end()) return std::nullopt;
  const GgufTensor& tensor = found->second;
  const std::string prefix = file.name() + ": tensor " + name;
  if (tensor.dtype != DType::kF32 || tensor.shape != std::vector<int64_t>{pairs}) {
    throw InputError(prefix + " must be of type f32 and of " + std::to_string(pairs) + " elements");
  }
  std::vector<float> factors(static_cast<size_t>(pairs));
  std::memcpy(factors.data(), tensor.bytes.data(), tensor.bytes.size());
  for (float factor : factors) {
    if (!IsFactor(factor)) throw InputError(prefix + ": factors must be above 0, and finite");
  }
  return factors;
}

void RefuseTensor(const GgufFile& file, const char* name, const std::string& type) {
  if (!file.tensors().contains(std::string_view(name))) return;
  throw InputError(file.name() + ": tensor " + name + " is not read with " + kScalingType + " '" +
                   type + "'");
}

double Positive(const GgufValues& values, const char* key, double standard) {
  const double number = values.Number(key).value_or(standard);
  if (!(number > 0 && number < 1e6)) values.Refuse(key, "allowed: above 0 and below 1e6");
  return number;
}

// 0 means none.
double ScalingFactor(const GgufValues& values) {
  const char* key = values.Has(kScalingFactor) ? kScalingFactor : kOldScalingFactor;
  return values.Number(key) == 0 ? 1 : Positive(values, key, 1);
}

void Multiply(const std::vector<float>& by, RopeFactors* factors) {
  for (size_t i = 0; i < by.size(); ++i) factors->lambda[i] *= by[i];
}

OwnFactors ReadLongrope(const GgufFile& file, const ModelConfig& model, double scale,
                        double attention, int64_t longest) {
  RefuseTensor(file, kRopeFreqsName, "longrope");
  const int pairs = model.shape.head_dim / 2;
  const auto shorter = FactorTensor(file, kShortFactorsName, pairs);
  const auto longer = FactorTensor(file, kLongFactorsName, pairs);
  if (!shorter || !longer) {
    file.values().Refuse(kScalingType, std::string("longrope needs the tensors ") +
                                           kShortFactorsName + " and " + kLongFactorsName);
  }
  const int64_t original = model.OriginalLength();
  const auto bucket = [&](int64_t length, const std::vector<float>& factors) {
    FactorBucket made{length, LinearFactors(model.Rope(), scale, length).Longest().factors};
    Multiply(factors, &made.factors);
    made.factors.attention_factor = attention;
    return made;
  };
  return {"longrope", {{bucket(original, *shorter), bucket(std::max(longest, original), *longer)}}};
}

// llama.cpp's yarn is transformers', its attention factor one more.
OwnFactors ReadYarn(const GgufValues& values, const ModelConfig& model, double scale,
                    double attention, int64_t longest) {
  for (const char* key : {"yarn_ext_factor", "yarn_attn_factor", "yarn_log_multiplier"}) {
    const std::string full = std::string("llama.rope.scaling.") + key;
    if (values.Has(full)) values.Refuse(full, "is not supported");
  }
  YarnOptions yarn;
  yarn.beta_fast = Positive(values, "llama.rope.scaling.yarn_beta_fast", yarn.beta_fast);
  yarn.beta_slow = Positive(values, "llama.rope.scaling.yarn_beta_slow", yarn.beta_slow);
  OwnFactors own = YarnFactors(model.Rope(), scale, yarn, std::nullopt, longest);
  own.set.buckets.back().factors.attention_factor *= attention;
  return own;
}

// Of a file whose context length is `longest`; nullopt: the plain rotation.
std::optional<OwnFactors> ReadOwnFactors(const GgufFile& file, const ModelConfig& model,
                                         int64_t longest) {
  const GgufValues& values = file.values();
  const std::string type = values.Text(kScalingType).value_or("linear");
  if (type != "none" && type != "linear" && type != "yarn" && type != "longrope") {
    values.Refuse(kScalingType,
                  Quoted(type) + " is not supported; allowed: none, linear, yarn, longrope");
  }
  const double scale = type == "none" ? 1 : ScalingFactor(values);
  const double attention = Positive(values, kAttentionFactor, 1);
  if (type == "longrope") return ReadLongrope(file, model, scale, attention, longest);
  RefuseTensor(file, kShortFactorsName, type);
  RefuseTensor(file, kLongFactorsName, type);
  const auto freqs = FactorTensor(file, kRopeFreqsName, model.shape.head_dim / 2);
  if (!freqs && scale == 1 && attention == 1) return std::nullopt;
  OwnFactors own;
  if (type == "yarn") {
    own = ReadYarn(values, model, scale, attention, longest);
  } else {
    own = LinearFactors(model.Rope(), scale, longest);
    own.set.buckets.back().factors.attention_factor = attention;
    if (scale == 1) own.type = freqs ? "" : "attention factor";
  }
  if (freqs) {
    Multiply(*freqs, &own.set.buckets.back().factors);
    own.type += own.type.empty() ? kRopeFreqsName : std::string(" times ") + kRopeFreqsName;
  }
  return own;
}

}  // namespace

ModelConfig GgufConfig(const GgufFile& file, const ConfigOverrides& overrides) {
  const GgufValues& values = file.values();
  RefuseWhatIsNotComputed(values);
  ModelConfig model;
  model.family = "llama";
  model.shape = Shape(file, overrides);
  model.tied_head = !file.tensors().contains(std::string_view(kHeadName));
  model.paired_heads = true;
  for (const auto& [name, tensor] : file.tensors()) {
    if (tensor.dtype != DType::kF32) model.stored = tensor.dtype;
  }
  model.rope_base =
      overrides.rope_base.value_or(values.Number("llama.rope.freq_base").value_or(10000));
  if (!(model.rope_base > 1)) values.Refuse("llama.rope.freq_base", "must be above 1");
  const auto longest = values.Integer(kContext, kMinLength, kMaxLength);
  if (!longest) values.Refuse(kContext, "missing");
  const auto original = values.Integer(kOriginal, kMinLength, kMaxLength);
  model.original_length = overrides.original_length.value_or(original.value_or(*longest));
  if (!overrides.original_length && !original) {
    model.original_from = std::string(kContext) + " of the GGUF file";
  }
  model.own_factors = ReadOwnFactors(file, model, *longest);
  return model;
}

}  // namespace longrope
