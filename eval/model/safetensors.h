// A safetensors file: named tensors as views of a memory-mapped file.
#pragma once

#include <filesystem>
#include <map>
#include <string>
#include <vector>

#include "eval/storage/files.h"
#include "kernels/weights.h"

namespace longrope {

// One tensor as stored. Views live as long as the file they come from.
struct StoredTensor {
  std::string dtype;  // "F32", "BF16", ... as written
  std::vector<int64_t> shape;
  std::span<const std::byte> bytes;
};

// Checks the whole header when it opens: length, JSON, dtypes, offsets that cover the file without
// hole or overlap, sizes that match shapes. Throws InputError naming the file and the tensor.
class SafetensorsFile {
 public:
  explicit SafetensorsFile(const std::filesystem::path& path);
  const std::map<std::string, StoredTensor>& tensors() const { return tensors_; }
  std::span<const std::byte> bytes() const { return file_.bytes(); }

 private:
  MappedFile file_;
  std::map<std::string, StoredTensor> tensors_;
};

}  // namespace longrope
