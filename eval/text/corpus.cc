#include "eval/text/corpus.h"

#include <algorithm>
#include <set>

#include "eval/errors.h"
#include "eval/storage/files.h"
#include "eval/text/json_record.h"
#include "eval/text/streamed_corpus.h"
#include "eval/text/utf8.h"

namespace longrope {
namespace fs = std::filesystem;
namespace {

constexpr int64_t kMaxTextBytes = int64_t{1} << 30;

class FolderCorpus final : public Corpus {
 public:
  explicit FolderCorpus(std::vector<fs::path> files) : files_(std::move(files)) {}
  size_t size() const override { return files_.size(); }
  std::string Title(size_t index) const override { return files_[index].stem().string(); }
  std::string Text(size_t index) const override { return ReadText(files_[index]); }

 private:
  std::vector<fs::path> files_;
};

// Lines are views of the mapped file; each is parsed when it is asked for.
class JsonLinesCorpus final : public Corpus {
 public:
  explicit JsonLinesCorpus(const CorpusOptions& options)
      : name_(options.path.string()),
        stem_(options.path.stem().string()),
        records_(options.text_field, options.filter),
        file_(options.path) {
    Pace pace(options.listener, "looking through " + name_);
    const std::string_view all(reinterpret_cast<const char*>(file_.bytes().data()),
                               file_.bytes().size());
    for (size_t begin = 0, number = 1; begin < all.size(); ++number) {
      const size_t end = EndOfLine(all, begin, number);
      const std::string_view line = all.substr(begin, end - begin);
      const bool blank = line.find_first_not_of(" \t\r") == std::string_view::npos;
      if (!blank && (!records_.has_filters() || records_.Passes(line))) {
        lines_.push_back({line, number});
      }
      begin = end + 1;
      pace.At(static_cast<int64_t>(begin), static_cast<int64_t>(all.size()));
    }
  }
  size_t size() const override { return lines_.size(); }
  std::string Title(size_t index) const override {
    return stem_ + ":" + std::to_string(lines_[index].number);
  }
  std::string Text(size_t index) const override {
    const auto& [line, number] = lines_[index];
    // Whether it passes was seen before.
    return records_.Text(line, name_ + ":" + std::to_string(number)).value_or("");
  }

 private:
  struct Line {
    std::string_view text;
    size_t number;
  };

  // Zeros are refused where they begin: a file may have a hole of any size.
  size_t EndOfLine(std::string_view all, size_t begin, size_t number) const {
    constexpr size_t kBlock = 1 << 16;
    for (; begin < all.size(); begin += kBlock) {
      const std::string_view block = all.substr(begin, kBlock);
      const size_t end = block.find('\n');
      if (block.substr(0, end).find('\0') != std::string_view::npos) {
        throw InputError(name_ + ":" + std::to_string(number) +
                         ": holds a NUL; allowed: a JSON object a line");
      }
      if (end != std::string_view::npos) return begin + end;
    }
    return all.size();
  }

  std::string name_, stem_;
  JsonRecords records_;
  MappedFile file_;
  std::vector<Line> lines_;
};

// Several corpora, one after the other.
class ShardedCorpus final : public Corpus {
 public:
  // `before`: what is put before the titles of each, so that they are told apart.
  ShardedCorpus(std::vector<std::unique_ptr<Corpus>> shards, std::vector<std::string> before)
      : shards_(std::move(shards)), before_(std::move(before)) {
    for (const auto& shard : shards_) begins_.push_back(begins_.back() + shard->size());
  }
  size_t size() const override { return begins_.back(); }
  std::string Title(size_t index) const override {
    const auto [shard, inner] = Find(index);
    return before_[shard] + shards_[shard]->Title(inner);
  }
  std::string Text(size_t index) const override {
    const auto [shard, inner] = Find(index);
    return shards_[shard]->Text(inner);
  }
  std::optional<int64_t> Bytes(size_t index) const override {
    const auto [shard, inner] = Find(index);
    return shards_[shard]->Bytes(inner);
  }
  std::string Digest(size_t index) const override {
    const auto [shard, inner] = Find(index);
    return shards_[shard]->Digest(inner);
  }
  void WillRead(std::span<const size_t> indices) const override {
    std::vector<std::vector<size_t>> parts(shards_.size());
    for (size_t index : indices) {
      const auto [shard, inner] = Find(index);
      parts[shard].push_back(inner);
    }
    for (size_t i = 0; i < shards_.size(); ++i) shards_[i]->WillRead(parts[i]);
  }

 private:
  std::pair<size_t, size_t> Find(size_t index) const {
    const auto after = std::ranges::upper_bound(begins_, index);
    const auto shard = static_cast<size_t>(after - begins_.begin()) - 1;
    return {shard, index - begins_[shard]};
  }

  std::vector<std::unique_ptr<Corpus>> shards_;
  std::vector<std::string> before_;
  std::vector<size_t> begins_ = {0};  // of each, and the end
};

bool IsShard(const fs::path& path) {
  return path.extension() == ".jsonl" || IsPackedJsonLines(path) || IsTar(path);
}

// `shards`: how many share the memory for reading ahead.
std::unique_ptr<Corpus> OpenShard(CorpusOptions options, const fs::path& path, size_t shards) {
  options.path = path;
  if (path.extension() == ".jsonl") return std::make_unique<JsonLinesCorpus>(options);
  return std::make_unique<StreamedCorpus>(options, kReadAheadBytes / static_cast<int64_t>(shards));
}

std::unique_ptr<Corpus> OpenShards(const CorpusOptions& options,
                                   const std::vector<fs::path>& paths) {
  std::vector<std::unique_ptr<Corpus>> shards;
  std::vector<std::string> before;
  std::set<std::string> stems;
  for (const fs::path& path : paths) {
    if (!stems.insert(StemOf(path)).second) {
      throw InputError(options.key + ": " + options.path.string() + ": two files are named '" +
                       StemOf(path) + "' but for their ending; allowed: each text once");
    }
    before.push_back(IsTar(path) ? StemOf(path) + "/" : "");  // lines have the stem in their title
    shards.push_back(OpenShard(options, path, paths.size()));
  }
  return std::make_unique<ShardedCorpus>(std::move(shards), std::move(before));
}

std::unique_ptr<Corpus> OpenFolder(const CorpusOptions& options) {
  std::vector<fs::path> texts, shards;
  for (const auto& entry : fs::directory_iterator(options.path)) {
    if (entry.path().extension() == ".txt") texts.push_back(entry.path());
    if (IsShard(entry.path())) shards.push_back(entry.path());
  }
  std::ranges::sort(texts);
  std::ranges::sort(shards);
  if (!texts.empty() && !shards.empty()) {
    throw InputError(options.key + ": " + options.path.string() + ": holds " +
                     texts.front().filename().string() + " and " +
                     shards.front().filename().string() +
                     "; allowed: .txt files, or .jsonl and .tar files, not both");
  }
  if (shards.empty()) return std::make_unique<FolderCorpus>(std::move(texts));
  return OpenShards(options, shards);
}

}  // namespace

std::string ReadText(const fs::path& path) {
  const std::string bytes = ReadFile(path, kMaxTextBytes);
  CheckUtf8(bytes, path.string());
  return FoldLineEnds(bytes);
}

std::unique_ptr<Corpus> OpenCorpus(const CorpusOptions& options) {
  const fs::path& path = options.path;
  std::error_code error;
  if (!fs::exists(path, error)) {
    throw InputError(options.key + ": " + path.string() +
                     (error ? ": " + error.message() : ": does not exist"));
  }
  std::unique_ptr<Corpus> corpus;
  if (fs::is_directory(path)) {
    corpus = OpenFolder(options);
  } else if (IsShard(path)) {
    corpus = OpenShard(options, path, 1);
  } else if (path.extension() == ".txt") {
    corpus = std::make_unique<FolderCorpus>(std::vector{path});
  } else {
    throw InputError(
        options.key + ": " + path.string() +
        ": allowed: a folder of .txt files, a .txt file; .jsonl, .jsonl.gz, "
        ".jsonl.zst, .tar, .tar.gz, .tgz, .tar.zst, or a folder of those (files of token "
        "ids need data.tokens)");
  }
  if (corpus->size() == 0) {
    throw InputError(options.key + ": " + path.string() + ": holds no text" +
                     (options.filter.empty() ? "" : " that data.filter takes"));
  }
  return corpus;
}

}  // namespace longrope
