// Books as token ids: texts with their tokenizer, or files that hold ids.
#pragma once

#include <cstdint>
#include <limits>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "eval/text/corpus.h"
#include "eval/text/text_cache.h"
#include "eval/text/tokenizer.h"

namespace longrope {

class Books {
 public:
  virtual ~Books() = default;
  virtual size_t size() const = 0;
  virtual std::string Title(size_t index) const = 0;
  // Prefix first. Throws InputError, and Stopped.
  virtual std::vector<int32_t> Tokens(size_t index) const = 0;
  // What stands before the ids of every book, once where books are joined: {BOS} or nothing.
  virtual std::vector<int32_t> Prefix() const = 0;
  // No book has more, as far as can be told without reading it.
  virtual int64_t MostTokens(size_t) const { return std::numeric_limits<int64_t>::max(); }
  // Which will be asked for next, in this order.
  virtual void WillRead(std::span<const size_t>) const {}
};

// Texts by a tokenizer, or by what the cache kept of it.
class TokenizedBooks final : public Books {
 public:
  // Without a tokenizer only sizes and titles can be asked for. `tokenizer` and `cache` (nullptr:
  // none) outlive it.
  TokenizedBooks(std::unique_ptr<Corpus> corpus, const Tokenizer* tokenizer, TextCache* cache,
                 Listener listener);
  size_t size() const override { return corpus_->size(); }
  std::string Title(size_t index) const override { return corpus_->Title(index); }
  std::vector<int32_t> Tokens(size_t index) const override;
  std::vector<int32_t> Prefix() const override { return tokenizer_->Prefix(); }
  // By the tokenizer, where the length of the text is known.
  int64_t MostTokens(size_t index) const override;
  void WillRead(std::span<const size_t> indices) const override;

 private:
  std::unique_ptr<Corpus> corpus_;
  const Tokenizer* tokenizer_;
  TextCache* cache_;
  Listener listener_;
  mutable Pace pace_;
  mutable int64_t read_ = 0;  // bytes of texts
};

}  // namespace longrope
