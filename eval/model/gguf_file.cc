#include "eval/model/gguf_file.h"

#include <algorithm>
#include <cstdio>
#include <optional>
#include <utility>

#include "eval/errors.h"

namespace longrope {
namespace {

// The largest vocabularies take 20 MB.
constexpr size_t kMaxHeader = 48 << 20;
constexpr uint64_t kMaxTensors = 1 << 16;
constexpr uint32_t kMaxDims = 4;
constexpr size_t kMaxTensorName = 64;  // bytes
constexpr int64_t kMaxAlignment = 1 << 20;
constexpr int64_t kMaxParts = (1 << 16) - 1;

// Formats by their numbers in the file.
constexpr std::pair<uint32_t, DType> kFormats[] = {
    {0, DType::kF32},  {1, DType::kF16},  {30, DType::kBF16}, {2, DType::kQ4_0},
    {3, DType::kQ4_1}, {6, DType::kQ5_0}, {7, DType::kQ5_1},  {8, DType::kQ8_0},
    {12, DType::kQ4K}, {13, DType::kQ5K}, {14, DType::kQ6K}};

std::optional<DType> FormatOf(uint32_t type) {
  for (const auto& [number, format] : kFormats) {
    if (number == type) return format;
  }
  return std::nullopt;
}

// What other numbers mean, where people have such files.
std::string FormatText(uint32_t type) {
  constexpr std::pair<uint32_t, const char*> kOthers[] = {
      {9, "q8_1"},    {10, "q2_k"},    {11, "q3_k"},  {15, "q8_k"},   {16, "iq2_xxs"},
      {17, "iq2_xs"}, {18, "iq3_xxs"}, {19, "iq1_s"}, {20, "iq4_nl"}, {21, "iq3_s"},
      {22, "iq2_s"},  {23, "iq4_xs"},  {24, "i8"},    {25, "i16"},    {26, "i32"},
      {27, "i64"},    {28, "f64"},     {29, "iq1_m"}, {34, "tq1_0"},  {35, "tq2_0"},
      {39, "mxfp4"}};
  for (const auto& [number, name] : kOthers) {
    if (number == type) return name;
  }
  return std::to_string(type);
}

// What a tensor's entry says, before the data are known.
struct Entry {
  std::string name;
  GgufTensor tensor;
  uint64_t offset = 0, bytes = 0;
};

Entry ReadEntry(GgufCursor& cursor) {
  Entry entry;
  entry.name = cursor.ReadText("a tensor's name").substr(0, kMaxTensorName + 1);
  if (entry.name.empty() || entry.name.size() > kMaxTensorName) {
    cursor.Refuse("a tensor's name; allowed: 1 to " + std::to_string(kMaxTensorName) + " bytes");
  }
  const auto refuse = [&](const std::string& why) {
    cursor.Refuse("tensor " + entry.name + " " + why);
  };
  const auto dims = cursor.Read<uint32_t>("a tensor's dimensions");
  if (dims < 1 || dims > kMaxDims) {
    refuse("has " + std::to_string(dims) + " dimensions; allowed: 1 to " +
           std::to_string(kMaxDims));
  }
  int64_t elements = 1;
  for (uint32_t i = 0; i < dims; ++i) {
    const auto size = cursor.Read<uint64_t>("a tensor's shape");
    if (size > INT64_MAX ||
        __builtin_mul_overflow(elements, static_cast<int64_t>(size), &elements)) {
      refuse("is too large");
    }
    entry.tensor.shape.insert(entry.tensor.shape.begin(), static_cast<int64_t>(size));
  }
  const auto type = cursor.Read<uint32_t>("a tensor's type");
  const auto format = FormatOf(type);
  if (!format) {
    std::string allowed;
    for (const auto& known : kFormats) {
      allowed += (allowed.empty() ? "" : ", ") + std::string(NameOf(known.second));
    }
    refuse("is of type " + FormatText(type) + "; allowed: " + allowed);
  }
  entry.tensor.dtype = *format;
  const Block block = BlockOf(*format);
  if (entry.tensor.shape.back() % block.elements != 0) {
    refuse("has rows of " + std::to_string(entry.tensor.shape.back()) +
           " elements, which are not " + "whole blocks of " + std::to_string(block.elements) +
           " (" + NameOf(*format) + ")");
  }
  int64_t bytes = 0;
  if (__builtin_mul_overflow(elements / block.elements, block.bytes, &bytes)) {
    refuse("is too large");
  }
  entry.bytes = static_cast<uint64_t>(bytes);
  entry.offset = cursor.Read<uint64_t>("a tensor's offset");
  return entry;
}

// Gives every entry its bytes: one after the other, each padded to the alignment.
void Place(std::vector<Entry>& entries, std::span<const std::byte> data, uint64_t alignment,
           const std::string& name) {
  uint64_t end = 0;
  for (Entry& entry : entries) {
    const std::string tensor = name + ": tensor " + entry.name;
    if (entry.offset != end) {
      throw InputError(tensor + " stands at data offset " + std::to_string(entry.offset) +
                       ", expected " + std::to_string(end) +
                       ": tensors follow one another in the order of the header");
    }
    if (entry.bytes == 0) continue;
    if (end > data.size() || entry.bytes > data.size() - end) {
      throw InputError(tensor + " of " + std::to_string(entry.bytes) + " bytes at data offset " +
                       std::to_string(end) + " ends beyond the file, which has " +
                       std::to_string(data.size()) + " bytes of data (is it cut off?)");
    }
    entry.tensor.bytes = data.subspan(end, entry.bytes);
    end += (entry.bytes + alignment - 1) / alignment * alignment;
  }
}

uint64_t ReadCount(GgufCursor& cursor) {
  const auto magic = cursor.Take(4, 1, "the magic");
  if (!std::ranges::equal(magic, std::as_bytes(std::span("GGUF", 4)))) {
    throw InputError(cursor.name() + ": byte 0: not a GGUF file");
  }
  const auto version = cursor.Read<uint32_t>("the version");
  if (version != 2 && version != 3) {
    cursor.Refuse("version " + std::to_string(version) +
                  ((version & 0xffff) == 0 && version != 0 ? " (a big-endian file)" : "") +
                  "; allowed: 2, 3");
  }
  const auto tensors = cursor.Read<uint64_t>("the number of tensors");
  if (tensors > kMaxTensors) {
    cursor.Refuse(std::to_string(tensors) + " tensors; allowed: up to " +
                  std::to_string(kMaxTensors));
  }
  return tensors;
}

// "PREFIX-0000I-of-0000N.gguf".
std::filesystem::path PartName(const std::filesystem::path& folder, const std::string& prefix,
                               int64_t part, int64_t parts) {
  char text[64];
  std::snprintf(text, sizeof text, "-%05lld-of-%05lld.gguf", static_cast<long long>(part),
                static_cast<long long>(parts));
  return folder / (prefix + text);
}

}  // namespace

GgufValues GgufFile::OpenPart(const std::filesystem::path& path) {
  const auto file = parts_.emplace_back(path).bytes();
  GgufCursor cursor(file.first(std::min(file.size(), kMaxHeader)), path.string());
  const uint64_t count = ReadCount(cursor);
  const auto keys = cursor.Read<uint64_t>("the number of keys");
  const GgufValues values(cursor, keys);
  std::vector<Entry> entries;
  for (uint64_t i = 0; i < count; ++i) entries.push_back(ReadEntry(cursor));
  const int64_t alignment = values.Integer("general.alignment", 1, kMaxAlignment).value_or(32);
  if ((alignment & (alignment - 1)) != 0) {
    values.Refuse("general.alignment", std::to_string(alignment) + "; allowed: powers of two");
  }
  const auto step = static_cast<uint64_t>(alignment);
  const uint64_t begin = (cursor.at() + step - 1) / step * step;
  Place(entries, file.subspan(std::min(begin, file.size())), step, path.string());
  for (Entry& entry : entries) {
    if (!tensors_.emplace(entry.name, std::move(entry.tensor)).second) {
      throw InputError(path.string() + ": tensor " + entry.name + " stands twice");
    }
  }
  return values;
}

void GgufFile::OpenOtherParts(const std::filesystem::path& first, int64_t count) {
  const std::string file = first.filename().string();
  const std::filesystem::path folder = first.parent_path();
  const size_t suffix = PartName("", "", 1, count).string().size();
  const std::string prefix = file.size() > suffix ? file.substr(0, file.size() - suffix) : "";
  const int64_t number = values_.Integer("split.no", 0, kMaxParts).value_or(0);
  if (number != 0) {
    values_.Refuse("split.no", "this is part " + std::to_string(number + 1) + " of " +
                                   std::to_string(count) + "; open the first one");
  }
  if (PartName(folder, prefix, 1, count) != first) {
    values_.Refuse("split.count", std::to_string(count) +
                                      "; the first of so many parts must be called " +
                                      PartName("", "NAME", 1, count).string());
  }
  for (int64_t part = 1; part < count; ++part) {
    const GgufValues values = OpenPart(PartName(folder, prefix, part + 1, count));
    if (values.Integer("split.count", 0, kMaxParts) != count) {
      values.Refuse("split.count", "is not the first part's, " + std::to_string(count));
    }
    if (values.Integer("split.no", 0, kMaxParts) != part) {
      values.Refuse("split.no", "is not the name's, " + std::to_string(part));
    }
  }
}

GgufFile::GgufFile(const std::filesystem::path& path) {
  values_ = OpenPart(path);
  const int64_t parts = values_.Integer("split.count", 0, kMaxParts).value_or(1);
  if (parts > 1) OpenOtherParts(path, parts);
  const auto expected = values_.Integer("split.tensors.count", 0, INT64_MAX);
  if (expected && *expected != static_cast<int64_t>(tensors_.size())) {
    values_.Refuse("split.tensors.count", std::to_string(*expected) + ", but the parts hold " +
                                              std::to_string(tensors_.size()) + " tensors");
  }
}

}  // namespace longrope
