#include "eval/text/corpus.h"

#include <algorithm>

#include "eval/errors.h"
#include "eval/model/json_file.h"
#include "eval/storage/digest.h"
#include "eval/storage/files.h"
#include "eval/text/utf8.h"

namespace longrope {
namespace fs = std::filesystem;
namespace {

constexpr int64_t kMaxTextBytes = int64_t{1} << 30;

std::string FoldLineEnds(std::string_view text) {
  std::string folded;
  folded.reserve(text.size());
  for (size_t i = 0; i < text.size(); ++i) {
    if (text[i] == '\r' && i + 1 < text.size() && text[i + 1] == '\n') continue;
    folded += text[i];
  }
  return folded;
}

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
  JsonLinesCorpus(const fs::path& path, std::string field)
      : name_(path.string()), stem_(path.stem().string()), field_(std::move(field)), file_(path) {
    const std::string_view all(reinterpret_cast<const char*>(file_.bytes().data()),
                               file_.bytes().size());
    for (size_t begin = 0, number = 1; begin < all.size(); ++number) {
      const size_t end = std::min(all.find('\n', begin), all.size());
      const std::string_view line = all.substr(begin, end - begin);
      if (line.find_first_not_of(" \t\r") != std::string_view::npos) {
        lines_.push_back({line, number});
      }
      begin = end + 1;
    }
  }
  size_t size() const override { return lines_.size(); }
  std::string Title(size_t index) const override {
    return stem_ + ":" + std::to_string(lines_[index].number);
  }
  std::string Text(size_t index) const override {
    const std::string where = name_ + ":" + std::to_string(lines_[index].number);
    const auto text = JsonObject(ParseJson(lines_[index].text, where), where).Text(field_);
    if (!text) throw InputError(where + ": has no field '" + field_ + "'");
    return FoldLineEnds(*text);
  }

 private:
  struct Line {
    std::string_view text;
    size_t number;
  };
  std::string name_, stem_, field_;
  MappedFile file_;
  std::vector<Line> lines_;
};

// Says of how many books each length could be drawn.
std::string CountsByLength(const std::vector<int64_t>& lengths, int64_t wanted) {
  const auto at_least = [&](int64_t tokens) {
    return std::ranges::count_if(lengths, [&](int64_t length) { return length >= tokens; });
  };
  std::string text;
  for (int64_t tokens = 1024; tokens < wanted; tokens *= 2) {
    text += std::to_string(at_least(tokens)) + " of at least " + std::to_string(tokens) + ", ";
  }
  return text + std::to_string(at_least(wanted)) + " of at least " + std::to_string(wanted);
}

// Gathers documents from books that come one by one.
class Drawer {
 public:
  Drawer(const Tokenizer& tokenizer, const DrawOptions& options)
      : options_(options), prefix_(tokenizer.Prefix()) {}

  bool Full() const { return static_cast<int>(documents_.size()) == options_.count; }

  void Add(const std::string& title, std::vector<int32_t> tokens) {
    const auto length = static_cast<int64_t>(tokens.size());
    lengths_.push_back(length);
    if (length < options_.min_tokens) return;
    if (!options_.join) {
      if (length < options_.length) return;
      offset_ = OffsetAmong(length - options_.length + 1);
      Leave(offset_, &tokens);
      Emit(title, std::move(tokens));
      return;
    }
    const auto prefix = static_cast<std::ptrdiff_t>(prefix_.size());
    if (joined_.empty()) {
      joined_ = prefix_;
      offset_ = OffsetAmong(std::max<int64_t>(length - prefix, 1));
      Leave(offset_, &tokens);
    }
    joined_.insert(joined_.end(), tokens.begin() + prefix, tokens.end());
    joined_title_ += (joined_title_.empty() ? "" : " + ") + title;
    if (static_cast<int64_t>(joined_.size()) < options_.length) return;
    Emit(joined_title_, std::exchange(joined_, {}));
    joined_title_.clear();
  }

  std::vector<Document> Take(size_t books) {
    if (!Full()) {
      throw InputError(
          "data: " + std::to_string(documents_.size()) + " of the " +
          std::to_string(options_.count) + " documents of " + std::to_string(options_.length) +
          " tokens can be drawn from " + std::to_string(books) + " books (" +
          CountsByLength(lengths_, options_.length) + " tokens" +
          (options_.min_tokens > 0 ? "; data.min_tokens is " + std::to_string(options_.min_tokens)
                                   : "") +
          ")" +
          (options_.join ? ""
                         : "; give longer books, ask for fewer documents, or "
                           "set data.join: true"));
    }
    return std::move(documents_);
  }

 private:
  int64_t OffsetAmong(int64_t positions) const {
    return options_.offset ? options_.offset(static_cast<int>(documents_.size()), positions) : 0;
  }
  // Removes so many ids after the prefix.
  void Leave(int64_t count, std::vector<int32_t>* tokens) const {
    const auto begin = tokens->begin() + static_cast<std::ptrdiff_t>(prefix_.size());
    tokens->erase(begin, begin + count);
  }
  void Emit(const std::string& title, std::vector<int32_t> tokens) {
    tokens.resize(static_cast<size_t>(options_.length));
    std::string digest = TokensDigest(tokens);
    documents_.push_back({title, std::move(digest), offset_, std::move(tokens)});
  }

  DrawOptions options_;
  std::vector<int32_t> prefix_, joined_;
  int64_t offset_ = 0;  // of the document that is being gathered
  std::string joined_title_;
  std::vector<int64_t> lengths_;
  std::vector<Document> documents_;
};

}  // namespace

std::string ReadText(const fs::path& path) {
  const std::string bytes = ReadFile(path, kMaxTextBytes);
  const size_t bad = FindInvalidUtf8(bytes);
  if (bad != std::string_view::npos) {
    throw InputError(path.string() + ": byte " + std::to_string(bad) + " is not valid UTF-8");
  }
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
    std::vector<fs::path> files;
    for (const auto& entry : fs::directory_iterator(path)) {
      if (entry.path().extension() == ".txt") files.push_back(entry.path());
    }
    std::ranges::sort(files);
    corpus = std::make_unique<FolderCorpus>(std::move(files));
  } else if (path.extension() == ".jsonl") {
    corpus = std::make_unique<JsonLinesCorpus>(path, options.text_field);
  } else if (path.extension() == ".txt") {
    corpus = std::make_unique<FolderCorpus>(std::vector{path});
  } else {
    throw InputError(options.key + ": " + path.string() +
                     ": allowed: a folder of .txt files, a .txt file, a .jsonl file");
  }
  if (corpus->size() == 0) throw InputError(options.key + ": " + path.string() + ": holds no text");
  return corpus;
}

std::string TokensDigest(const std::vector<int32_t>& tokens) {
  std::string lines;
  for (int32_t token : tokens) lines += std::to_string(token) + "\n";
  return Sha256Hex(lines);
}

std::vector<Document> DrawDocuments(const Corpus& corpus, const Tokenizer& tokenizer,
                                    const DrawOptions& options,
                                    const std::function<std::vector<size_t>(size_t)>& order) {
  Drawer drawer(tokenizer, options);
  const std::vector<size_t> books = order(corpus.size());
  for (size_t index : books) {
    if (drawer.Full()) break;
    drawer.Add(corpus.Title(index), tokenizer.Encode(corpus.Text(index)));
  }
  return drawer.Take(books.size());
}

}  // namespace longrope
