// safetensors files as a test wants them, sound or not.
#pragma once

#include <cstdint>
#include <filesystem>
#include <string>
#include <string_view>
#include <vector>

namespace longrope::testing {

struct TensorToWrite {
  std::string name, dtype;
  std::vector<int64_t> shape;
  std::string bytes;
};

// The 8 bytes of a header length, the header, the data: nothing is checked.
std::string SafetensorsBytes(std::string_view header, std::string_view data);
std::string SafetensorsBytes(uint64_t header_length, std::string_view header,
                             std::string_view data);

// A sound file of these tensors, one after the other.
std::string SafetensorsBytes(const std::vector<TensorToWrite>& tensors);

// Little-endian float32.
std::string FloatBytes(const std::vector<float>& values);

}  // namespace longrope::testing
