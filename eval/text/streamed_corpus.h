// Texts by index out of a file that can only be read from its beginning.
#pragma once

#include <deque>
#include <filesystem>
#include <memory>
#include <span>
#include <string>
#include <unordered_map>
#include <vector>

#include "eval/text/corpus.h"
#include "eval/text/corpus_index.h"
#include "eval/text/text_cache.h"
#include "eval/text/text_stream.h"

namespace longrope {

// Bytes of texts that are held ready.
inline constexpr int64_t kReadAheadBytes = int64_t{256} << 20;

// One pass over the file makes its index, unless the cache has it. Another takes out as many of the
// texts that are to be read next as kReadAheadBytes holds; it goes on from where the one before
// ended if they all stand behind that, and ends at the last of them.
class StreamedCorpus final : public Corpus {
 public:
  // Throws InputError if the file is damaged, Stopped.
  explicit StreamedCorpus(const CorpusOptions& options, int64_t read_ahead = kReadAheadBytes);
  size_t size() const override { return index_->size(); }
  std::string Title(size_t index) const override;
  // Throws InputError, too, if the text is not what the index says.
  std::string Text(size_t index) const override;
  // Unknown of what is no text, so that it is asked for, and refused.
  std::optional<int64_t> Bytes(size_t index) const override;
  std::string Digest(size_t index) const override { return index_->Digest(index); }
  void WillRead(std::span<const size_t> indices) const override;

 private:
  // The texts that the next pass takes out, in the order of the file; `index` among them.
  std::vector<size_t> Batch(size_t index) const;
  void Take(const std::vector<size_t>& batch) const;

  std::filesystem::path path_;
  JsonRecords records_;
  Listener listener_;
  int64_t read_ahead_;
  std::shared_ptr<const CorpusIndex> index_;
  mutable std::deque<size_t> next_;  // to be read, in this order
  mutable std::unordered_map<size_t, std::string> ready_;
  mutable std::unique_ptr<TextStream> stream_;  // an open pass; nullptr: none
  mutable int64_t at_ = 0;                      // number that it stands at, 0: none
};

}  // namespace longrope
