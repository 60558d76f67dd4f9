// A GGUF file, or all parts of a split one, mapped: keys with values, and tensors by name.
#pragma once

#include <deque>
#include <filesystem>
#include <map>
#include <string>
#include <vector>

#include "eval/model/gguf_values.h"
#include "eval/storage/files.h"
#include "kernels/weights.h"

namespace longrope {

// One tensor as stored. Views live as long as the file they come from.
struct GgufTensor {
  DType dtype = DType::kF32;
  std::vector<int64_t> shape;  // slowest first, as Hugging Face writes it: [outputs, inputs]
  std::span<const std::byte> bytes;
};

// Versions 2 and 3 (which differ in nothing that a little-endian file shows). The whole header is
// checked when it opens: counts, types, names, sizes, and that the tensors follow one another
// within the file. Throws InputError naming the file, and the byte, the key or the tensor.
class GgufFile {
 public:
  // The file, or NAME-00001-of-0000N.gguf, whose other parts stand beside it.
  explicit GgufFile(const std::filesystem::path& path);

  const std::string& name() const { return values_.name(); }
  const GgufValues& values() const { return values_; }  // of the first part
  const std::map<std::string, GgufTensor, std::less<>>& tensors() const { return tensors_; }

 private:
  GgufValues OpenPart(const std::filesystem::path& path);
  void OpenOtherParts(const std::filesystem::path& first, int64_t count);

  std::deque<MappedFile> parts_;
  GgufValues values_;
  std::map<std::string, GgufTensor, std::less<>> tensors_;
};

}  // namespace longrope
