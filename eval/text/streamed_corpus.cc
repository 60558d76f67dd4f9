#include "eval/text/streamed_corpus.h"

#include <algorithm>

#include "eval/errors.h"
#include "eval/storage/digest.h"

namespace longrope {
namespace {

// What of the options the index depends on.
std::string SelectionOf(const CorpusOptions& options) {
  std::string text = "index 1\n" + options.text_field;
  for (const std::string& filter : options.filter) text += "\n" + filter;
  return text;
}

}  // namespace

StreamedCorpus::StreamedCorpus(const CorpusOptions& options, int64_t read_ahead)
    : path_(options.path),
      records_(options.text_field, options.filter),
      listener_(options.listener),
      read_ahead_(read_ahead) {
  const auto make = [&] { return IndexTexts(path_, records_, listener_); };
  index_ = options.cache != nullptr ? options.cache->Index(path_, SelectionOf(options), make)
                                    : std::make_shared<CorpusIndex>(make());
}

std::string StreamedCorpus::Title(size_t index) const {
  return index_->titles.empty() ? StemOf(path_) + ":" + std::to_string(index_->numbers[index])
                                : index_->titles[index];
}

std::optional<int64_t> StreamedCorpus::Bytes(size_t index) const {
  if (index_->Digest(index).empty()) return std::nullopt;
  return index_->bytes[index];
}

void StreamedCorpus::WillRead(std::span<const size_t> indices) const {
  next_.assign(indices.begin(), indices.end());
}

std::vector<size_t> StreamedCorpus::Batch(size_t index) const {
  // What was to come before it is not wanted any more.
  const auto found = std::ranges::find(next_, index);
  if (found != next_.end()) next_.erase(next_.begin(), found + 1);
  std::vector<size_t> batch = {index};
  int64_t bytes = index_->bytes[index];
  for (size_t next : next_) {
    if (index_->Digest(next).empty()) continue;  // refused if it is asked for
    bytes += index_->bytes[next];
    if (bytes > read_ahead_) break;
    batch.push_back(next);
  }
  std::ranges::sort(batch);
  return batch;
}

void StreamedCorpus::Take(const std::vector<size_t>& batch) const {
  if (!stream_ || at_ >= index_->numbers[batch.front()]) {
    stream_ = OpenTextStream(path_, records_);
    at_ = 0;
  }
  Pace pace(listener_,
            "taking " + std::to_string(batch.size()) + " texts out of " + path_.string());
  for (size_t index : batch) {
    while (at_ < index_->numbers[index] && stream_->Next()) {
      at_ = stream_->number();
      pace.At(stream_->bytes().position(), stream_->bytes().size());
    }
    auto text = at_ == index_->numbers[index] ? stream_->Text() : std::nullopt;
    if (!text || Sha256Hex(*text) != index_->Digest(index)) {
      throw InputError(path_.string() + ": " + Title(index) +
                       " is not what it was when the file was looked through");
    }
    ready_[index] = std::move(*text);
  }
}

std::string StreamedCorpus::Text(size_t index) const {
  if (!ready_.contains(index)) {
    ready_.clear();
    try {
      Take(Batch(index));
    } catch (...) {
      stream_.reset();  // it may stand anywhere
      throw;
    }
  }
  return std::move(ready_.extract(index).mapped());
}

}  // namespace longrope
