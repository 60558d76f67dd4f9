#include "eval/text/books.h"

#include <algorithm>

#include "eval/storage/digest.h"

namespace longrope {
namespace {

constexpr size_t kLongText = 16'000'000;  // bytes that take a tokenizer some seconds

}  // namespace

TokenizedBooks::TokenizedBooks(std::unique_ptr<Corpus> corpus, const Tokenizer* tokenizer,
                               TextCache* cache, Listener listener)
    : corpus_(std::move(corpus)),
      tokenizer_(tokenizer),
      cache_(cache),
      listener_(std::move(listener)),
      pace_(listener_, "tokenizing") {}

int64_t TokenizedBooks::MostTokens(size_t index) const {
  const auto bytes = corpus_->Bytes(index);
  return bytes ? tokenizer_->MostTokens(*bytes) : Books::MostTokens(index);
}

void TokenizedBooks::WillRead(std::span<const size_t> indices) const {
  std::vector<size_t> texts;
  for (size_t index : indices) {
    const bool kept =
        cache_ != nullptr && cache_->HasTokens(corpus_->Digest(index), tokenizer_->Digest());
    if (!kept) texts.push_back(index);
  }
  corpus_->WillRead(texts);
}

std::vector<int32_t> TokenizedBooks::Tokens(size_t index) const {
  pace_.At(read_, 0);
  std::string digest = corpus_->Digest(index);
  if (cache_ != nullptr && !digest.empty()) {
    if (auto tokens = cache_->Tokens(digest, tokenizer_->Digest())) return std::move(*tokens);
  }
  const std::string text = corpus_->Text(index);
  if (digest.empty() && cache_ != nullptr) {
    digest = Sha256Hex(text);
    if (auto tokens = cache_->Tokens(digest, tokenizer_->Digest())) return std::move(*tokens);
  }
  if (text.size() >= kLongText) {
    listener_.Say("tokenizing '" + corpus_->Title(index) + "', " +
                  Megabytes(static_cast<int64_t>(text.size())) + " MB");
  }
  std::vector<int32_t> tokens = tokenizer_->Encode(text);
  read_ += static_cast<int64_t>(text.size());
  if (cache_ != nullptr) {
    cache_->AddTokens(digest, tokenizer_->Digest(), static_cast<int64_t>(text.size()), tokens);
  }
  return tokens;
}

}  // namespace longrope
