#include "tests/support/gguf_writer.h"

#include <gtest/gtest.h>

#include "eval/model/model_folder.h"
#include "tests/support/small_model.h"
#include "tests/support/temp_folder.h"

namespace longrope::testing {
namespace {

void Pad(std::string* bytes, uint64_t alignment) {
  while (bytes->size() % alignment != 0) *bytes += '\0';
}

std::string Text(std::string_view text) {
  return LittleEndian(uint64_t{text.size()}) + std::string(text);
}

uint32_t TypeNumber(DType dtype) {
  return dtype == DType::kF32 ? 0 : dtype == DType::kF16 ? 1 : 30;
}

const char* NameOf(WeightRole role) {
  constexpr const char* kNames[] = {"token_embd.weight", "attn_norm.weight",   "attn_q.weight",
                                    "attn_k.weight",     "attn_v.weight",      "attn_output.weight",
                                    "ffn_norm.weight",   "ffn_gate.weight",    "ffn_up.weight",
                                    "ffn_down.weight",   "output_norm.weight", "output.weight"};
  return kNames[static_cast<size_t>(role)];
}

// Bytes of the view; halves of heads become pairs where `head` is above 0.
std::string Bytes(const TensorView& view, int64_t head) {
  const size_t row_bytes = static_cast<size_t>(view.cols * SizeOf(view.dtype));
  std::string bytes;
  for (int64_t to = 0; to < view.rows; ++to) {
    int64_t from = to;
    if (head > 0) from = to / head * head + to % 2 * (head / 2) + to % head / 2;
    bytes.append(reinterpret_cast<const char*>(view.data) + static_cast<size_t>(from) * row_bytes,
                 row_bytes);
  }
  return bytes;
}

}  // namespace

std::string GgufU32(uint32_t number) { return LittleEndian(uint32_t{4}) + LittleEndian(number); }
std::string GgufF32(float number) { return LittleEndian(uint32_t{6}) + LittleEndian(number); }
std::string GgufFlag(bool flag) { return LittleEndian(uint32_t{7}) + (flag ? '\1' : '\0'); }
std::string GgufText(std::string_view text) { return LittleEndian(uint32_t{8}) + Text(text); }

std::string GgufArray(uint32_t type, uint64_t count, std::string_view elements) {
  return LittleEndian(uint32_t{9}) + LittleEndian(type) + LittleEndian(count) +
         std::string(elements);
}

std::string GgufTexts(const std::vector<std::string>& texts) {
  std::string bytes;
  for (const std::string& text : texts) bytes += Text(text);
  return GgufArray(8, texts.size(), bytes);
}

std::string GgufFloats(const std::vector<float>& numbers) {
  return GgufArray(6, numbers.size(), FloatBytes(numbers));
}

std::string GgufI32s(const std::vector<int32_t>& numbers) {
  std::string bytes;
  for (int32_t number : numbers) bytes += LittleEndian(number);
  return GgufArray(5, numbers.size(), bytes);
}

void GgufToWrite::Set(const std::string& key, std::string value) {
  for (auto& [name, old] : keys) {
    if (name == key) {
      old = std::move(value);
      return;
    }
  }
  keys.emplace_back(key, std::move(value));
}

GgufTensorToWrite& GgufToWrite::Tensor(std::string_view name) {
  for (GgufTensorToWrite& tensor : tensors) {
    if (tensor.name == name) return tensor;
  }
  throw std::logic_error("no such tensor");
}

std::string GgufBytes(const GgufToWrite& file) {
  std::string bytes = file.magic + LittleEndian(file.version) +
                      LittleEndian(file.tensor_count.value_or(file.tensors.size())) +
                      LittleEndian(file.key_count.value_or(file.keys.size()));
  for (const auto& [key, value] : file.keys) bytes += Text(key) + value;
  std::string data;
  for (const GgufTensorToWrite& tensor : file.tensors) {
    bytes += Text(tensor.name) + LittleEndian(static_cast<uint32_t>(tensor.shape.size()));
    for (size_t i = tensor.shape.size(); i-- > 0;) bytes += LittleEndian(tensor.shape[i]);
    bytes += LittleEndian(tensor.type) + LittleEndian(tensor.offset.value_or(data.size()));
    data += tensor.bytes;
    Pad(&data, file.alignment);
  }
  Pad(&bytes, file.alignment);
  return bytes + data;
}

GgufToWrite GgufOf(const ModelConfig& config, const WeightSource& weights) {
  const ModelShape& s = config.shape;
  const auto number = [](int64_t value) { return GgufU32(static_cast<uint32_t>(value)); };
  GgufToWrite file;
  file.Set("general.architecture", GgufText("llama"));
  file.Set("llama.context_length", number(config.original_length.value_or(32)));
  file.Set("llama.embedding_length", number(s.hidden));
  file.Set("llama.block_count", number(s.layers));
  file.Set("llama.feed_forward_length", number(s.ffn));
  file.Set("llama.attention.head_count", number(s.heads));
  file.Set("llama.attention.head_count_kv", number(s.kv_heads));
  file.Set("llama.attention.key_length", number(s.head_dim));
  file.Set("llama.attention.value_length", number(s.head_dim));
  file.Set("llama.attention.layer_norm_rms_epsilon", GgufF32(s.norm_epsilon));
  file.Set("llama.rope.dimension_count", number(s.head_dim));
  file.Set("llama.rope.freq_base", GgufF32(static_cast<float>(config.rope_base)));
  const auto add = [&](WeightRole role, const std::string& prefix, int layer) {
    const TensorView view = weights.Get(role, layer);
    const bool paired = role == WeightRole::kQuery || role == WeightRole::kKey;
    const bool vector = WeightSize(role, s).rows == 1;
    file.tensors.push_back(
        {prefix + NameOf(role), vector ? std::vector{view.cols} : std::vector{view.rows, view.cols},
         TypeNumber(view.dtype), Bytes(view, paired ? s.head_dim : 0), std::nullopt});
  };
  add(WeightRole::kEmbedding, "", 0);
  for (int layer = 0; layer < s.layers; ++layer) {
    for (const WeightRole role : kLayerRoles) {
      add(role, "blk." + std::to_string(layer) + ".", layer);
    }
  }
  add(WeightRole::kFinalNorm, "", 0);
  if (!config.tied_head) add(WeightRole::kHead, "", 0);
  return file;
}

GgufToWrite SmallGguf() {
  TempFolder folder;
  WriteConfig(folder.path(), SmallConfig());
  WriteWeights(folder.path(), SmallTensors());
  const ModelFolder model(folder.path(), {});
  return GgufOf(model.config(), model);
}

}  // namespace longrope::testing
