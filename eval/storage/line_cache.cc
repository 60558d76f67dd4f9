#include "eval/storage/line_cache.h"

#include <algorithm>
#include <cstdint>
#include <optional>
#include <string_view>
#include <utility>

#include "eval/storage/digest.h"
#include "eval/storage/files.h"

namespace longrope {
namespace {

constexpr int64_t kMaxBytes = int64_t{1} << 32;
constexpr size_t kCheckDigits = 8;

std::string CheckOf(std::string_view text) { return Sha256Hex(text).substr(0, kCheckDigits); }

// nullopt if the line, without its end, is not as Add writes it.
std::optional<std::pair<std::string, std::string>> ParseLine(std::string_view line) {
  const size_t first = line.find(','), last = line.rfind(',');
  if (first == last || line.substr(last + 1) != CheckOf(line.substr(0, last))) return std::nullopt;
  return std::pair(std::string(line.substr(0, first)),
                   std::string(line.substr(first + 1, last - first - 1)));
}

}  // namespace

LineCache::LineCache(FileSystem& files, std::filesystem::path path)
    : files_(files), path_(std::move(path)) {
  if (!std::filesystem::exists(path_)) return;
  const std::string text = ReadFile(path_, kMaxBytes);
  std::string whole;
  for (size_t begin = 0; begin < text.size();) {
    const size_t end = std::min(text.find('\n', begin), text.size());
    const auto line = std::string_view(text).substr(begin, end - begin);
    if (auto parsed = ParseLine(line)) {
      values_.insert(std::move(*parsed));
      whole += std::string(line) + "\n";
    }
    begin = end + 1;
  }
  if (whole != text) ReplaceFile(files_, path_, whole);
}

const std::string* LineCache::Find(const std::string& key) const {
  const auto found = values_.find(key);
  return found == values_.end() ? nullptr : &found->second;
}

void LineCache::Add(const std::string& key, const std::string& value) {
  if (!values_.emplace(key, value).second) return;
  const std::string text = key + "," + value;
  AppendFile(files_, path_, text + "," + CheckOf(text) + "\n");
}

}  // namespace longrope
