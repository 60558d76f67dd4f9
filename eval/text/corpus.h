// Texts on disk.
#pragma once

#include <cstdint>
#include <filesystem>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "eval/text/progress.h"

namespace longrope {

class TextCache;

// Where texts come from:
//   a folder of .txt files, or one;
//   .jsonl, .jsonl.gz, .jsonl.zst: an object a line, with a text under `text_field`;
//   .tar, .tar.gz, .tgz, .tar.zst: members named *.txt;
//   a folder of files of the two last kinds, in the order of their names.
struct CorpusOptions {
  std::filesystem::path path;
  std::string text_field = "text";
  std::string key = "data.path";  // of the job, where messages say what is wrong with the path
  std::vector<std::string> filter = {};  // of lines (eval/text/json_record.h)
  TextCache* cache = nullptr;            // keeps what long reading found; outlives the corpus
  Listener listener = {};                // of long reading
};

// Texts by index, read when asked for. CRLF is folded to LF, as PG-19's readers do; anything that
// is not UTF-8 is refused with file and offset. A byte order mark and NUL are characters as others,
// as for Python's reader.
class Corpus {
 public:
  virtual ~Corpus() = default;
  virtual size_t size() const = 0;
  // File name without .txt, or name:line; of one tar among others NAME/FILE. No two are equal.
  virtual std::string Title(size_t index) const = 0;
  virtual std::string Text(size_t index) const = 0;
  // What is known of a text before it is read: its length, and its SHA-256 ("": not known).
  virtual std::optional<int64_t> Bytes(size_t) const { return std::nullopt; }
  virtual std::string Digest(size_t) const { return ""; }
  // Which will be asked for next, in this order: a corpus that can only be read from its beginning
  // then takes out many at a time.
  virtual void WillRead(std::span<const size_t>) const {}
};

// Throws InputError if nothing is there, or (of a compressed file) if it is damaged; Stopped.
std::unique_ptr<Corpus> OpenCorpus(const CorpusOptions& options);

// One text file as a corpus reads it.
std::string ReadText(const std::filesystem::path& path);

}  // namespace longrope
