// A folder of one test.
#pragma once

#include <filesystem>
#include <fstream>
#include <string>
#include <string_view>

namespace longrope::testing {

// Made empty, removed with its content.
class TempFolder {
 public:
  TempFolder();
  TempFolder(const TempFolder&) = delete;
  TempFolder& operator=(const TempFolder&) = delete;
  ~TempFolder();
  const std::filesystem::path& path() const { return path_; }
  std::filesystem::path operator/(std::string_view name) const { return path_ / name; }

 private:
  std::filesystem::path path_;
};

void WriteFile(const std::filesystem::path& path, std::string_view bytes);
std::string SlurpFile(const std::filesystem::path& path);

// A file of the repository.
std::filesystem::path SourcePath(std::string_view name);

}  // namespace longrope::testing
