#include "tests/support/safetensors_writer.h"

#include <cstring>

namespace longrope::testing {

std::string SafetensorsBytes(uint64_t header_length, std::string_view header,
                             std::string_view data) {
  std::string bytes;
  for (int i = 0; i < 8; ++i) bytes += static_cast<char>(header_length >> (8 * i) & 255);
  return bytes.append(header).append(data);
}

std::string SafetensorsBytes(std::string_view header, std::string_view data) {
  return SafetensorsBytes(header.size(), header, data);
}

std::string SafetensorsBytes(const std::vector<TensorToWrite>& tensors) {
  std::string header = "{", data;
  for (const TensorToWrite& tensor : tensors) {
    if (header.size() > 1) header += ',';
    header += '"' + tensor.name + R"(":{"dtype":")" + tensor.dtype + R"(","shape":[)";
    for (size_t i = 0; i < tensor.shape.size(); ++i) {
      header += (i > 0 ? "," : "") + std::to_string(tensor.shape[i]);
    }
    header += R"(],"data_offsets":[)" + std::to_string(data.size()) + ',';
    data += tensor.bytes;
    header += std::to_string(data.size()) + "]}";
  }
  return SafetensorsBytes(header + '}', data);
}

std::string FloatBytes(const std::vector<float>& values) {
  std::string bytes(values.size() * sizeof(float), '\0');
  if (!values.empty()) std::memcpy(bytes.data(), values.data(), bytes.size());
  return bytes;
}

}  // namespace longrope::testing
