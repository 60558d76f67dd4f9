// A Hugging Face folder of a LLaMA so small that a test can write it, whole or spoilt.
#pragma once

#include <filesystem>
#include <nlohmann/json.hpp>
#include <vector>

#include "tests/support/safetensors_writer.h"

namespace longrope::testing {

// config.json of hidden 8, 1 layer, 2 heads, 1 key/value head, ffn 12, vocab 16, 32 positions.
nlohmann::json SmallConfig();

// Every tensor that SmallConfig asks for, float32, random.
std::vector<TensorToWrite> SmallTensors();

void WriteConfig(const std::filesystem::path& folder, const nlohmann::json& config);

// model.safetensors with these tensors.
void WriteWeights(const std::filesystem::path& folder, const std::vector<TensorToWrite>& tensors);

// One file for each list, and the index that names them.
void WriteShards(const std::filesystem::path& folder,
                 const std::vector<std::vector<TensorToWrite>>& shards);

}  // namespace longrope::testing
