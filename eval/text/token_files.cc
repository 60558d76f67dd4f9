#include "eval/text/token_files.h"

#include <algorithm>
#include <set>

#include "eval/errors.h"
#include "eval/storage/files.h"

namespace longrope {
namespace fs = std::filesystem;
namespace {

constexpr const char* kEndings[] = {".bin", ".u16", ".u32"};

// The ids of a mapped file.
class TokenFile {
 public:
  TokenFile(const fs::path& path, size_t width) : path_(path), file_(path), width_(width) {
    if (file_.bytes().size() % width != 0) {
      throw InputError(path.string() + ": has " + std::to_string(file_.bytes().size()) +
                       " bytes, no whole number of ids of " + std::to_string(width) + " bytes");
    }
  }
  const fs::path& path() const { return path_; }
  size_t size() const { return file_.bytes().size() / width_; }
  uint32_t At(size_t index) const {
    const std::byte* bytes = file_.bytes().data() + index * width_;
    uint32_t id = 0;
    for (size_t i = width_; i-- > 0;) id = id << 8 | std::to_integer<uint32_t>(bytes[i]);
    return id;
  }
  uint64_t OffsetOf(size_t index) const { return index * width_; }

 private:
  fs::path path_;
  MappedFile file_;
  size_t width_;
};

class TokenFiles final : public Books {
 public:
  TokenFiles(const std::vector<fs::path>& paths, const TokenFilesOptions& options)
      : vocab_(options.vocab), numbered_(options.separator.has_value()) {
    for (const fs::path& path : paths) {
      files_.emplace_back(path, options.type == "uint16" ? 2 : 4);
      Split(files_.size() - 1, options.separator);
    }
  }
  size_t size() const override { return books_.size(); }
  std::string Title(size_t index) const override {
    const Book& book = books_[index];
    const std::string stem = files_[book.file].path().stem().string();
    return numbered_ ? stem + ":" + std::to_string(book.number) : stem;
  }
  std::vector<int32_t> Tokens(size_t index) const override {
    const Book& book = books_[index];
    const TokenFile& file = files_[book.file];
    std::vector<int32_t> tokens;
    tokens.reserve(book.end - book.begin);
    for (size_t i = book.begin; i < book.end; ++i) {
      const uint32_t id = file.At(i);
      if (id >= vocab_) {
        throw InputError(file.path().string() + ": byte " + std::to_string(file.OffsetOf(i)) +
                         ": id " + std::to_string(id) + "; allowed: ids below " +
                         std::to_string(vocab_) + ", the model's vocabulary");
      }
      tokens.push_back(static_cast<int32_t>(id));
    }
    return tokens;
  }
  std::vector<int32_t> Prefix() const override { return {}; }
  int64_t MostTokens(size_t index) const override {
    return static_cast<int64_t>(books_[index].end - books_[index].begin);
  }

 private:
  struct Book {
    size_t file, begin, end;
    int64_t number;  // in its file, from 1
  };

  void Split(size_t at, const std::optional<int64_t>& separator) {
    const TokenFile& file = files_[at];
    if (!separator) {
      if (file.size() > 0) books_.push_back({at, 0, file.size(), 1});
      return;
    }
    size_t begin = 0;
    int64_t number = 0;
    for (size_t i = 0; i <= file.size(); ++i) {
      if (i < file.size() && file.At(i) != *separator) continue;
      if (i > begin) books_.push_back({at, begin, i, ++number});
      begin = i + 1;
    }
  }

  int64_t vocab_;
  bool numbered_;
  std::vector<TokenFile> files_;
  std::vector<Book> books_;
};

}  // namespace

std::unique_ptr<Books> OpenTokenFiles(const TokenFilesOptions& options) {
  const std::string where = options.key + ": " + options.path.string();
  std::error_code error;
  if (!fs::exists(options.path, error)) {
    throw InputError(where + (error ? ": " + error.message() : ": does not exist"));
  }
  std::vector<fs::path> paths;
  if (fs::is_directory(options.path)) {
    std::set<std::string> titles;
    for (const auto& entry : fs::directory_iterator(options.path)) {
      if (std::ranges::find(kEndings, entry.path().extension()) == std::end(kEndings)) continue;
      if (!titles.insert(entry.path().stem().string()).second) {
        throw InputError(where + ": two files are named '" + entry.path().stem().string() +
                         "' but for their ending");
      }
      paths.push_back(entry.path());
    }
    std::ranges::sort(paths);
  } else {
    paths.push_back(options.path);
  }
  auto books = std::make_unique<TokenFiles>(paths, options);
  if (books->size() == 0) {
    throw InputError(where +
                     ": holds no ids; allowed: a file of ids, a folder of .bin, .u16 or "
                     ".u32 files");
  }
  return books;
}

}  // namespace longrope
