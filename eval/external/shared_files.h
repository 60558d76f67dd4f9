// Documents as files that workers read.
#pragma once

#include <filesystem>
#include <set>
#include <vector>

#include "eval/external/protocol.h"

namespace longrope {

// Files named by the SHA-256 of what they hold, in a folder that is made when it is needed, and
// removed with this object: with all that is left in it of processes that were killed.
class SharedFiles {
 public:
  explicit SharedFiles(std::filesystem::path folder) : folder_(std::move(folder)) {}
  SharedFiles(const SharedFiles&) = delete;
  SharedFiles& operator=(const SharedFiles&) = delete;
  ~SharedFiles();

  // Writes the documents' files, but for those that it wrote before and that are still there; of
  // `in_line` none. Throws FileError.
  StartMessage Share(const std::vector<Document>& documents, bool in_line);

 private:
  SharedBytes ShareBytes(std::string bytes, const char* suffix, bool in_line);

  std::filesystem::path folder_;             // absolute
  std::set<std::filesystem::path> written_;  // by this object: what others left may be damaged
};

// What a host shared; checked. Throws InputError.
std::string ReadShared(const SharedBytes& shared);

}  // namespace longrope
