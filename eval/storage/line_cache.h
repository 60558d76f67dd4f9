// What was once computed, kept as lines of a file.
#pragma once

#include <filesystem>
#include <string>
#include <unordered_map>

#include "eval/storage/file_system.h"

namespace longrope {

// A file of lines "key,value,check". It may lose its newest lines in a crash, never lie: a line
// that is not whole is left out. One process at a time.
class LineCache {
 public:
  // Reads what the file holds, if there is one, and removes what a crash left half-written.
  // `files` outlives the cache. Throws FileError.
  LineCache(FileSystem& files, std::filesystem::path path);

  size_t size() const { return values_.size(); }
  // nullptr if it is not there.
  const std::string* Find(const std::string& key) const;
  // Appends to the file unless the key is there. A key holds no comma, neither holds a line end.
  // Throws FileError.
  void Add(const std::string& key, const std::string& value);

 private:
  FileSystem& files_;
  std::filesystem::path path_;
  std::unordered_map<std::string, std::string> values_;
};

}  // namespace longrope
