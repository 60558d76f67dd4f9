// What stands where in a compressed file of texts, so that it is read through but once.
#pragma once

#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

#include "eval/text/json_record.h"
#include "eval/text/progress.h"
#include "eval/text/text_stream.h"

namespace longrope {

// Texts in the order of the file.
struct CorpusIndex {
  std::vector<int64_t> numbers;     // TextStream::number
  std::vector<int64_t> bytes;       // of the text, CRLF folded
  std::string digests;              // SHA-256 of each text, 32 bytes each; of what is no text zeros
  std::vector<std::string> titles;  // of a tar, each once; else none

  size_t size() const { return numbers.size(); }
  // 64 hexadecimal digits; "" of what is no text.
  std::string Digest(size_t index) const;
};

// Of a file; more would not fit the memory that this may take.
inline constexpr size_t kMaxIndexedTexts = size_t{4} << 20;

// Reads the file to its end. What is no text has a place in the index all the same: it is refused
// when it is read. Throws InputError where the file is damaged, and Stopped.
CorpusIndex IndexTexts(const std::filesystem::path& path, const JsonRecords& records,
                       const Listener& listener);

// As the bytes of an HDF5 file, and back. `key` says what it is an index of; bytes of another are
// refused. Throws InputError that begins with `name`.
std::string WriteIndex(const CorpusIndex& index, const std::string& key);
CorpusIndex ReadIndex(std::string bytes, const std::string& key, const std::string& name);

}  // namespace longrope
