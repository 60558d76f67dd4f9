// GGUF files as a test wants them, sound or not.
#pragma once

#include <cstdint>
#include <cstring>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "eval/model/model_config.h"
#include "kernels/weights.h"

namespace longrope::testing {

template <class T>
std::string LittleEndian(T number) {
  std::string bytes(sizeof(T), '\0');
  std::memcpy(bytes.data(), &number, sizeof(T));
  return bytes;
}

// Values: their type and their bytes.
std::string GgufU32(uint32_t number);
std::string GgufF32(float number);
std::string GgufFlag(bool flag);
std::string GgufText(std::string_view text);
// `elements`: the bytes of `count` of them.
std::string GgufArray(uint32_t type, uint64_t count, std::string_view elements);
std::string GgufTexts(const std::vector<std::string>& texts);
std::string GgufFloats(const std::vector<float>& numbers);
std::string GgufI32s(const std::vector<int32_t>& numbers);

struct GgufTensorToWrite {
  std::string name;
  std::vector<int64_t> shape;  // [rows, cols]; the file has them the other way round
  uint32_t type = 0;           // float32
  std::string bytes;
  std::optional<uint64_t> offset;  // from the data's begin; else where it stands
};

// A file's parts; what is empty is as it should be.
struct GgufToWrite {
  std::vector<std::pair<std::string, std::string>> keys;  // with their values
  std::vector<GgufTensorToWrite> tensors;
  uint64_t alignment = 32;  // of the data; the key is the caller's
  std::string magic = "GGUF";
  uint32_t version = 3;
  std::optional<uint64_t> key_count, tensor_count;

  // Replaces the value of a key, or adds it.
  void Set(const std::string& key, std::string value);
  GgufTensorToWrite& Tensor(std::string_view name);
};
std::string GgufBytes(const GgufToWrite& file);

// A sound file of the weights, in their own formats (plain ones); rows of queries and keys stored
// as pairs. Keys: those of the config; no vocabulary.
GgufToWrite GgufOf(const ModelConfig& config, const WeightSource& weights);

// The small model's (small_model.h).
GgufToWrite SmallGguf();

}  // namespace longrope::testing
