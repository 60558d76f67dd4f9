#include "eval/text/text_stream.h"

#include <algorithm>
#include <cstring>
#include <vector>

#include "eval/errors.h"
#include "eval/storage/archive.h"
#include "eval/text/utf8.h"

namespace longrope {
namespace fs = std::filesystem;
namespace {

constexpr size_t kBlock = 1 << 18;
constexpr const char* kTars[] = {".tar", ".tar.gz", ".tgz", ".tar.zst"};
constexpr const char* kPackedLines[] = {".jsonl.gz", ".jsonl.zst"};

// Lines of a source, each bounded.
class JsonLineStream final : public TextStream {
 public:
  JsonLineStream(const fs::path& path, const JsonRecords& records)
      : name_(path.string()), records_(records), bytes_(OpenBytes(path)), block_(kBlock) {}

  bool Next() override {
    while (NextLine()) {
      ++number_;
      if (line_.find_first_not_of(" \t\r") != std::string::npos) return true;
    }
    return false;
  }
  int64_t number() const override { return number_; }
  std::string Title() const override { return ""; }
  std::optional<std::string> Text() override { return records_.Text(line_, Where(number_)); }
  const ByteSource& bytes() const override { return *bytes_; }

 private:
  std::string Where(int64_t line) const { return name_ + ":" + std::to_string(line); }

  bool NextLine() {
    line_.clear();
    for (bool any = false;; any = true) {
      if (at_ == filled_) {
        at_ = 0;
        filled_ = bytes_->Read(block_);
        if (filled_ == 0) return any;
      }
      const auto* begin = reinterpret_cast<const char*>(block_.data()) + at_;
      const auto* end = static_cast<const char*>(std::memchr(begin, '\n', filled_ - at_));
      const size_t length = end != nullptr ? static_cast<size_t>(end - begin) : filled_ - at_;
      Append({begin, length});
      at_ += length + (end != nullptr ? 1 : 0);
      if (end != nullptr) return true;
    }
  }
  // Zeros are what little grows much of: they are refused before they are gathered.
  void Append(std::string_view part) {
    if (part.find('\0') != std::string_view::npos) {
      throw InputError(Where(number_ + 1) + ": holds a NUL; allowed: a JSON object a line");
    }
    if (line_.size() + part.size() > static_cast<size_t>(kMaxStreamedBytes)) {
      throw InputError(Where(number_ + 1) + ": is longer than " +
                       std::to_string(kMaxStreamedBytes) + " bytes, the longest line allowed");
    }
    line_ += part;
  }

  std::string name_;
  const JsonRecords& records_;
  std::unique_ptr<ByteSource> bytes_;
  std::vector<std::byte> block_;
  size_t at_ = 0, filled_ = 0;  // of block_
  std::string line_;
  int64_t number_ = 0;
};

// Bytes that a terminal, a table or a YAML file would stumble over.
std::string Printable(std::string title) {
  title = OneLine(std::move(title));
  for (size_t at = 0; at < title.size(); ++at) {
    const size_t bad = FindInvalidUtf8(std::string_view(title).substr(at));
    if (bad == std::string::npos) break;
    title[at += bad] = '?';
  }
  return title;
}

class TarTextStream final : public TextStream {
 public:
  explicit TarTextStream(const fs::path& path)
      : name_(path.string()), tar_(OpenBytes(path), name_) {}

  bool Next() override {
    while (tar_.Next()) {
      if (!tar_.path().ends_with(".txt")) continue;
      if (tar_.size() <= kMaxStreamedBytes) return true;
      throw InputError(Where() + ": has " + std::to_string(tar_.size()) +
                       " bytes, allowed in an archive are " + std::to_string(kMaxStreamedBytes));
    }
    return false;
  }
  int64_t number() const override { return tar_.number(); }
  std::string Title() const override {
    const std::string path = tar_.path().substr(0, tar_.path().size() - 4);
    return Printable(path.substr(path.rfind('/') + 1));  // npos + 1 is 0
  }
  std::optional<std::string> Text() override {
    std::string text;  // grows as bytes come: the size is only what the header claims
    std::byte block[kBlock / 4];
    while (const size_t got = tar_.Read(block)) {
      text.append(reinterpret_cast<const char*>(block), got);
    }
    CheckUtf8(text, Where());
    return FoldLineEnds(text);
  }
  const ByteSource& bytes() const override { return tar_.bytes(); }

 private:
  std::string Where() const { return name_ + ": " + Printable(tar_.path()); }

  std::string name_;
  TarReader tar_;
};

std::string EndingAmong(const fs::path& path, std::span<const char* const> endings) {
  const std::string name = path.filename().string();
  for (const char* ending : endings) {
    if (name.ends_with(ending)) return ending;
  }
  return "";
}

}  // namespace

bool IsTar(const fs::path& path) { return !EndingAmong(path, kTars).empty(); }

bool IsPackedJsonLines(const fs::path& path) { return !EndingAmong(path, kPackedLines).empty(); }

std::string StemOf(const fs::path& path) {
  const std::string packed = EndingAmong(path, kPackedLines), tar = EndingAmong(path, kTars);
  if (packed.empty() && tar.empty()) return path.stem().string();
  const std::string name = path.filename().string();
  return name.substr(0, name.size() - std::max(packed.size(), tar.size()));
}

std::unique_ptr<TextStream> OpenTextStream(const fs::path& path, const JsonRecords& records) {
  if (IsTar(path)) return std::make_unique<TarTextStream>(path);
  return std::make_unique<JsonLineStream>(path, records);
}

}  // namespace longrope
