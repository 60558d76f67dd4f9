#include "eval/text/draw.h"

#include <algorithm>
#include <utility>

#include "eval/errors.h"

namespace longrope {
namespace {

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
  Drawer(std::vector<int32_t> prefix, const DrawOptions& options)
      : options_(options), prefix_(std::move(prefix)) {}

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

  // `books`: that there are; `shorter` of them were not read, because they are too short.
  std::vector<Document> Take(size_t books, size_t shorter) {
    if (!Full()) {
      throw InputError(
          "data: " + std::to_string(documents_.size()) + " of the " +
          std::to_string(options_.count) + " documents of " + std::to_string(options_.length) +
          " tokens can be drawn from " + std::to_string(books) + " books (" +
          CountsByLength(lengths_, options_.length) + " tokens" +
          (shorter > 0 ? "; " + std::to_string(shorter) + " more have fewer bytes" : "") +
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

std::vector<Document> DrawDocuments(const Books& books, const DrawOptions& options,
                                    const std::function<std::vector<size_t>(size_t)>& order) {
  Drawer drawer(books.Prefix(), options);
  const std::vector<size_t> indices = order(books.size());
  const int64_t shortest = std::max(options.min_tokens, options.join ? int64_t{0} : options.length);
  std::vector<size_t> wanted;
  for (size_t index : indices) {
    if (books.MostTokens(index) >= shortest) wanted.push_back(index);
  }
  books.WillRead(wanted);
  for (size_t index : wanted) {
    if (drawer.Full()) break;
    drawer.Add(books.Title(index), books.Tokens(index));
  }
  return drawer.Take(indices.size(), indices.size() - wanted.size());
}

}  // namespace longrope
