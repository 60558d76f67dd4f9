// Whole files, read bounded and replaced so that a crash leaves the old or the new one.
#pragma once

#include <cstdint>
#include <filesystem>
#include <span>
#include <string>
#include <string_view>

#include "eval/errors.h"
#include "eval/storage/file_system.h"

namespace longrope {

// A file could not be read or written; what() names it and the system's reason.
class FileError : public InputError {
 public:
  using InputError::InputError;
};

// Throws FileError: "<path>: <what>: <reason of errno>".
[[noreturn]] void ThrowFileError(const std::filesystem::path& path, const std::string& what);

// A regular file, open for reading. Throws FileError for anything else, FIFOs and devices too,
// without waiting for them.
class ReadHandle {
 public:
  explicit ReadHandle(const std::filesystem::path& path);
  ReadHandle(const ReadHandle&) = delete;
  ReadHandle& operator=(const ReadHandle&) = delete;
  ~ReadHandle();
  int file() const { return file_; }
  int64_t size() const { return size_; }  // bytes, when it was opened

 private:
  int file_;
  int64_t size_ = 0;
};

// What stands in the name of a file or folder that is not finished.
inline constexpr char kTemporaryMark[] = ".tmp.";

// Replaces `path` by `bytes`: temporary in the same folder, write, fsync, close, rename, fsync of
// the folder. On failure throws FileError; the old file stands and the temporary is gone.
void ReplaceFile(FileSystem& files, const std::filesystem::path& path, std::string_view bytes);

// Appends to a file, made where it is missing, that need not survive a crash whole. Throws
// FileError.
void AppendFile(FileSystem& files, const std::filesystem::path& path, std::string_view text);

// Makes `path` and its missing parents. Throws FileError.
void MakeFolders(FileSystem& files, const std::filesystem::path& path);

// Removes what a process that was killed in ReplaceFile left half-written in a folder.
void SweepTemporaries(FileSystem& files, const std::filesystem::path& folder);

// The whole file. Throws FileError if it cannot be read or is longer than `max_bytes`.
std::string ReadFile(const std::filesystem::path& path, int64_t max_bytes);

// A read-only view of a whole file, unmapped with its owner. Throws FileError.
class MappedFile {
 public:
  explicit MappedFile(const std::filesystem::path& path);
  MappedFile(MappedFile&& other) noexcept;
  MappedFile& operator=(MappedFile&&) = delete;
  ~MappedFile();
  std::span<const std::byte> bytes() const { return {data_, size_}; }

 private:
  const std::byte* data_ = nullptr;
  size_t size_ = 0;
};

}  // namespace longrope
