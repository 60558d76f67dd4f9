// What was found out about texts at some expense, kept in a folder for later runs: the ids of
// texts, and what stands where in compressed files. Losing it costs time, nothing else.
#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "eval/storage/file_system.h"
#include "eval/text/corpus_index.h"
#include "eval/text/progress.h"

namespace longrope {

struct TextCacheOptions {
  std::filesystem::path folder = {};  // made where it is missing; "": nothing is kept on disk
  // Of its files; the oldest go. Each process that writes may be over by a sixteenth.
  int64_t max_bytes = 10'000'000'000;
  int64_t min_text_bytes = 1 << 14;  // shorter texts are tokenized as fast as looked up
  bool writes = true;                // false: reads what is there
};

// Files of HDF5 with a digest of themselves (sealed_file.h), each named by what it was made of and
// replaced whole: any number of processes may share the folder. A damaged file is said (a warning)
// and made anew. Where the folder cannot be written a warning says so, once, and all goes on.
class TextCache {
 public:
  // `files` outlives the cache.
  TextCache(FileSystem& files, TextCacheOptions options, Listener listener);

  // The ids that a tokenizer made of a text; digests of both.
  std::optional<std::vector<int32_t>> Tokens(const std::string& text,
                                             const std::string& tokenizer) const;
  // Would Tokens find a file?
  bool HasTokens(const std::string& text, const std::string& tokenizer) const;
  void AddTokens(const std::string& text, const std::string& tokenizer, int64_t text_bytes,
                 const std::vector<int32_t>& tokens);

  // The index of a file as it stands (path, size, time of its last change), from memory, from the
  // folder, or made.
  std::shared_ptr<const CorpusIndex> Index(const std::filesystem::path& path,
                                           const std::string& selection,
                                           const std::function<CorpusIndex()>& make);

 private:
  std::filesystem::path File(const char* kind, const std::string& key) const;
  // What parse(bytes) makes of a file; nothing if there is none, or (which is said) if it is
  // damaged.
  template <class Parse>
  auto Load(const std::filesystem::path& path, const Parse& parse) const
      -> std::optional<decltype(parse(std::string()))>;
  void Write(const std::filesystem::path& path, std::string bytes);
  // Removes the oldest files until so many bytes more fit, so far as this process has looked.
  void MakeRoom(int64_t bytes);

  FileSystem& files_;
  TextCacheOptions options_;
  Listener listener_;
  std::map<std::string, std::shared_ptr<const CorpusIndex>> indexes_;  // by key
  int64_t room_ = 0;  // bytes that may be written before the folder is looked through again
};

}  // namespace longrope
