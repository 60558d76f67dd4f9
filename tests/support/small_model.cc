#include "tests/support/small_model.h"

#include "tests/support/temp_folder.h"

namespace longrope::testing {

nlohmann::json SmallConfig() {
  return {{"model_type", "llama"},    {"vocab_size", 16},
          {"hidden_size", 8},         {"intermediate_size", 12},
          {"num_hidden_layers", 1},   {"num_attention_heads", 2},
          {"num_key_value_heads", 1}, {"max_position_embeddings", 32},
          {"rms_norm_eps", 1e-5},     {"rope_theta", 500.0},
          {"hidden_act", "silu"},     {"tie_word_embeddings", false},
          {"torch_dtype", "float32"}};
}

std::vector<TensorToWrite> SmallTensors() {
  std::vector<TensorToWrite> tensors;
  uint32_t state = 11;
  const auto add = [&](const std::string& name, const std::vector<int64_t>& shape) {
    int64_t count = 1;
    for (int64_t size : shape) count *= size;
    std::vector<float> values;
    for (int64_t i = 0; i < count; ++i) {
      state = state * 1664525u + 1013904223u;
      values.push_back(static_cast<float>(state >> 8) * 0x1p-24f - 0.5f);
    }
    tensors.push_back({name, "F32", shape, FloatBytes(values)});
  };
  const std::string layer = "model.layers.0.";
  add("lm_head.weight", {16, 8});
  add("model.embed_tokens.weight", {16, 8});
  add(layer + "input_layernorm.weight", {8});
  add(layer + "mlp.down_proj.weight", {8, 12});
  add(layer + "mlp.gate_proj.weight", {12, 8});
  add(layer + "mlp.up_proj.weight", {12, 8});
  add(layer + "post_attention_layernorm.weight", {8});
  add(layer + "self_attn.k_proj.weight", {4, 8});
  add(layer + "self_attn.o_proj.weight", {8, 8});
  add(layer + "self_attn.q_proj.weight", {8, 8});
  add(layer + "self_attn.v_proj.weight", {4, 8});
  add("model.norm.weight", {8});
  return tensors;
}

void WriteConfig(const std::filesystem::path& folder, const nlohmann::json& config) {
  WriteFile(folder / "config.json", config.dump());
}

void WriteWeights(const std::filesystem::path& folder, const std::vector<TensorToWrite>& tensors) {
  WriteFile(folder / "model.safetensors", SafetensorsBytes(tensors));
}

void WriteShards(const std::filesystem::path& folder,
                 const std::vector<std::vector<TensorToWrite>>& shards) {
  nlohmann::json map = nlohmann::json::object();
  for (size_t i = 0; i < shards.size(); ++i) {
    const std::string name = "model-" + std::to_string(i) + ".safetensors";
    WriteFile(folder / name, SafetensorsBytes(shards[i]));
    for (const TensorToWrite& tensor : shards[i]) map[tensor.name] = name;
  }
  WriteFile(folder / "model.safetensors.index.json", nlohmann::json{{"weight_map", map}}.dump());
}

}  // namespace longrope::testing
