#include "eval/model/safetensors.h"

#include <algorithm>
#include <cstring>

#include "eval/errors.h"
#include "eval/model/json_file.h"

namespace longrope {
namespace {

constexpr uint64_t kMaxHeader = 100'000'000;  // bytes, as the format's own library has it

// Bytes of one element by dtype name; formats of less than a byte are not among them.
int64_t ElementBytes(const std::string& dtype) {
  static const std::map<std::string, int64_t> sizes = {
      {"BOOL", 1}, {"U8", 1},  {"I8", 1},  {"F8_E5M2", 1}, {"F8_E4M3", 1}, {"F8_E8M0", 1},
      {"I16", 2},  {"U16", 2}, {"F16", 2}, {"BF16", 2},    {"I32", 4},     {"U32", 4},
      {"F32", 4},  {"C64", 8}, {"F64", 8}, {"I64", 8},     {"U64", 8}};
  const auto found = sizes.find(dtype);
  return found == sizes.end() ? 0 : found->second;
}

uint64_t HeaderBytes(std::span<const std::byte> file, const std::string& name) {
  uint64_t length = 0;
  if (file.size() < 8) throw InputError(name + ": is cut off within the first 8 bytes");
  std::memcpy(&length, file.data(), 8);
  if (length > kMaxHeader || length > file.size() - 8) {
    throw InputError(name + ": header of " + std::to_string(length) +
                     " bytes does not fit; the file has " + std::to_string(file.size()) +
                     " bytes and a header at most " + std::to_string(kMaxHeader));
  }
  return length;
}

// A list of whole numbers >= 0.
std::vector<int64_t> Sizes(const JsonObject& entry, const std::string& key) {
  std::vector<int64_t> sizes;
  if (!entry.Has(key) || !entry.Raw(key).is_array()) entry.Refuse(key, "expected a list");
  for (const Json& item : entry.Raw(key)) {
    if (!item.is_number_unsigned() || item.get<uint64_t>() > INT64_MAX) {
      entry.Refuse(key, "expected whole numbers from 0");
    }
    sizes.push_back(item.get<int64_t>());
  }
  return sizes;
}

StoredTensor Parse(const JsonObject& entry, std::span<const std::byte> data) {
  StoredTensor tensor;
  tensor.dtype = entry.Text("dtype").value_or("");
  tensor.shape = Sizes(entry, "shape");
  int64_t bytes = ElementBytes(tensor.dtype);
  if (bytes == 0) entry.Refuse("dtype", "'" + tensor.dtype + "' is not known");
  for (int64_t size : tensor.shape) {
    if (__builtin_mul_overflow(bytes, size, &bytes)) entry.Refuse("shape", "is too large");
  }
  const std::vector<int64_t> range = Sizes(entry, "data_offsets");
  if (range.size() != 2 || range[0] > range[1] || range[1] > static_cast<int64_t>(data.size())) {
    entry.Refuse("data_offsets", "must be two offsets within the file's " +
                                     std::to_string(data.size()) +
                                     " bytes of data (is the file cut off?)");
  }
  if (range[1] - range[0] != bytes) {
    entry.Refuse("data_offsets", "span " + std::to_string(range[1] - range[0]) +
                                     " bytes, the shape needs " + std::to_string(bytes));
  }
  tensor.bytes =
      data.subspan(static_cast<size_t>(range[0]), static_cast<size_t>(range[1] - range[0]));
  return tensor;
}

void CheckCoverage(const std::map<std::string, StoredTensor>& tensors,
                   std::span<const std::byte> data, const std::string& name) {
  std::vector<std::span<const std::byte>> ranges;
  for (const auto& [key, tensor] : tensors) ranges.push_back(tensor.bytes);
  std::ranges::sort(ranges, [](const auto& a, const auto& b) {
    return std::pair(a.data(), a.size()) < std::pair(b.data(), b.size());
  });
  const std::byte* covered = data.data();
  for (const auto& range : ranges) {
    if (range.data() != covered) {
      throw InputError(name + ": tensors overlap or leave a hole at data offset " +
                       std::to_string(covered - data.data()));
    }
    covered += range.size();
  }
  if (covered != data.data() + data.size()) {
    throw InputError(name + ": " + std::to_string(data.data() + data.size() - covered) +
                     " bytes after the last tensor");
  }
}

}  // namespace

SafetensorsFile::SafetensorsFile(const std::filesystem::path& path) : file_(path) {
  const std::string name = path.string();
  const uint64_t length = HeaderBytes(bytes(), name);
  const std::string_view text(reinterpret_cast<const char*>(bytes().data()) + 8, length);
  const JsonObject header(ParseJson(text, name), name);
  const std::span<const std::byte> data = bytes().subspan(8 + length);
  for (const std::string& key : header.Keys()) {
    if (key != "__metadata__") tensors_.emplace(key, Parse(header.Object(key), data));
  }
  CheckCoverage(tensors_, data, name);
}

}  // namespace longrope
