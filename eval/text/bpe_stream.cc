#include "eval/text/bpe_stream.h"

#include "eval/errors.h"

namespace longrope {
namespace {

constexpr size_t kWindow = 1 << 16;
constexpr size_t kContext = kWindow / 8;  // symbols after a token that are seen before it is final
constexpr size_t kMaxKnown = 1 << 16;
constexpr size_t kMaxKnownSymbols = 64;

}  // namespace

void BpeStream::Push(int32_t symbol) {
  if (!symbols_.empty() && !merges_.MayJoin(symbols_.back(), symbol)) Flush();
  symbols_.push_back(symbol);
  if (symbols_.size() == kWindow) Emit(kContext);
}

void BpeStream::End() { Flush(); }

void BpeStream::Flush() {
  if (symbols_.size() == 1 && previous_.empty()) {
    tokens_.push_back(symbols_[0]);
    symbols_.clear();
    return;
  }
  if (!previous_.empty() || symbols_.size() > kMaxKnownSymbols) {
    if (!symbols_.empty()) Emit(0);
    previous_.clear();
    return;
  }
  const std::string_view key(reinterpret_cast<const char*>(symbols_.data()),
                             symbols_.size() * sizeof(int32_t));
  const auto known = known_.find(key);
  if (known != known_.end()) {
    tokens_.insert(tokens_.end(), known->second.begin(), known->second.end());
  } else if (!symbols_.empty()) {
    merges_.Apply(symbols_, &pieces_);
    std::vector<int32_t> merged;
    for (const auto& piece : pieces_) merged.push_back(piece.token);
    tokens_.insert(tokens_.end(), merged.begin(), merged.end());
    if (known_.size() < kMaxKnown) known_.emplace(key, std::move(merged));
  }
  symbols_.clear();
}

// Merges the window and appends its tokens but those that begin in its last `context` symbols.
void BpeStream::Emit(size_t context) {
  merges_.Apply(symbols_, &pieces_);
  if (!previous_.empty()) CheckJoint();
  size_t end = 0, last = 0;  // of the tokens that are final; the start of the last of them
  for (const auto& piece : pieces_) {
    if (end > 0 && end + context >= symbols_.size()) break;
    tokens_.push_back(piece.token);
    last = end;
    end += piece.symbols;
  }
  previous_.assign(symbols_.begin() + last, symbols_.begin() + end);
  symbols_.erase(symbols_.begin(), symbols_.begin() + end);
}

void BpeStream::CheckJoint() const {
  std::vector<int32_t> both = previous_;
  both.insert(both.end(), symbols_.begin(), symbols_.begin() + pieces_[0].symbols);
  std::vector<BpeMerges::Piece> joined;
  merges_.Apply(both, &joined);
  if (joined.size() != 2 || joined[0].symbols != previous_.size()) {
    throw InputError("the tokenizer's merges depend on more than " + std::to_string(kContext) +
                     " symbols of a word that go on without a boundary");
  }
}

}  // namespace longrope
