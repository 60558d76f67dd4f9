#include "eval/model/model_config.h"

#include "eval/errors.h"
#include "eval/model/json_file.h"
#include "eval/model/model_limits.h"

namespace longrope {
namespace {

constexpr int64_t kMaxLayers = 1 << 16;

int Size(const JsonObject& config, const std::string& key) {
  const auto value = config.Integer(key, 1, kMaxSize);
  if (!value) config.Refuse(key, "missing");
  return static_cast<int>(*value);
}

std::string Family(const JsonObject& config) {
  const std::string family = config.Text("model_type").value_or("");
  if (family != "llama" && family != "mistral") {
    config.Refuse("model_type", "'" + family + "' is not supported; allowed: llama, mistral");
  }
  return family;
}

void RefuseWhatIsNotComputed(const JsonObject& config) {
  const std::string activation = config.Text("hidden_act").value_or("silu");
  if (activation != "silu") {
    config.Refuse("hidden_act", "'" + activation + "' is not supported; allowed: silu");
  }
  for (const char* key : {"attention_bias", "mlp_bias"}) {
    if (config.Flag(key).value_or(false)) config.Refuse(key, "biases are not supported");
  }
}

ModelShape Shape(const JsonObject& config, const std::string& family,
                 const ConfigOverrides& overrides) {
  ModelShape shape;
  shape.layers = Size(config, "num_hidden_layers");
  shape.hidden = Size(config, "hidden_size");
  shape.heads = Size(config, "num_attention_heads");
  shape.kv_heads =
      config.Has("num_key_value_heads") ? Size(config, "num_key_value_heads") : shape.heads;
  shape.ffn = Size(config, "intermediate_size");
  shape.vocab = Size(config, "vocab_size");
  const double epsilon = config.Number("rms_norm_eps").value_or(1e-6);
  if (!IsNormEpsilon(epsilon)) config.Refuse("rms_norm_eps", "allowed: above 0 and below 1");
  shape.norm_epsilon = static_cast<float>(epsilon);
  if (family == "mistral") {  // transformers' LLaMA does not read the key
    shape.sliding_window = config.Integer("sliding_window", 1, kMaxLength).value_or(0);
  }
  if (shape.heads % shape.kv_heads != 0) {
    config.Refuse("num_key_value_heads", "does not divide num_attention_heads");
  }
  int64_t head_dim = 0;
  if (overrides.head_dim) {
    head_dim = *overrides.head_dim;
  } else if (config.Has("head_dim")) {
    head_dim = Size(config, "head_dim");
  } else if (shape.hidden % shape.heads == 0) {
    head_dim = shape.hidden / shape.heads;
  } else {
    config.Refuse("head_dim", "missing, and num_attention_heads does not divide hidden_size");
  }
  if (!IsHeadDim(head_dim)) {
    config.Refuse("head_dim", std::to_string(head_dim) + "; allowed: " + kHeadDimsAllowed);
  }
  if (shape.heads * head_dim > kMaxSize || shape.layers > kMaxLayers) {
    config.Refuse("num_attention_heads", "heads times head_dim, or layers, are out of range");
  }
  shape.head_dim = static_cast<int>(head_dim);
  return shape;
}

std::optional<int64_t> OriginalLength(const RopeScaling& scaling, const std::string& family) {
  if (const auto stated = scaling.StatedOriginal()) return stated;
  // A longrope model's longest length is its extended one; a Mistral's is not what it learned on.
  if (family == "mistral" || scaling.type() == "longrope") return std::nullopt;
  return scaling.Longest();
}

}  // namespace

int64_t ModelConfig::OriginalLength() const {
  if (!original_length) {
    throw InputError(
        "the model's original length is not in its config (sliding_window does not "
        "tell it); set model.original_length in the job, or --original");
  }
  return *original_length;
}

std::string ModelConfig::OriginalNote() const {
  if (original_from.empty()) return "";
  return "original length " + std::to_string(OriginalLength()) + " tokens, from " + original_from +
         " (set model.original_length if the model was trained on fewer)";
}

RopeShape ModelConfig::Rope() const { return {shape.head_dim, rope_base, OriginalLength()}; }

RopeShape ModelConfig::KnownRope() const {
  return {shape.head_dim, rope_base, original_length.value_or(0)};
}

ModelConfig ReadModelConfig(const std::filesystem::path& folder, const ConfigOverrides& overrides) {
  const JsonObject config = ReadJsonObject(folder / "config.json");
  ModelConfig model;
  model.family = Family(config);
  RefuseWhatIsNotComputed(config);
  const RopeScaling scaling(config);
  model.shape = Shape(config, model.family, overrides);
  model.tied_head = config.Flag("tie_word_embeddings").value_or(false);
  const std::string stored =
      config.Text("torch_dtype").value_or(config.Text("dtype").value_or("float32"));
  model.stored = stored == "bfloat16"  ? DType::kBF16
                 : stored == "float16" ? DType::kF16
                                       : DType::kF32;
  model.rope_base = overrides.rope_base.value_or(scaling.Base());
  model.original_length =
      overrides.original_length ? overrides.original_length : OriginalLength(scaling, model.family);
  model.own_factors =
      scaling.Read(model.shape.head_dim, model.rope_base, overrides.original_length);
  return model;
}

}  // namespace longrope
