#include "eval/storage/files.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <system_error>
#include <utility>

namespace longrope {
namespace fs = std::filesystem;
namespace {

fs::path FolderOf(const fs::path& path) {
  return path.has_parent_path() ? path.parent_path() : fs::path(".");
}

// False, with errno, if not all could be written.
bool WriteAll(FileSystem& files, int file, std::string_view bytes) {
  while (!bytes.empty()) {
    const ssize_t written =
        RetryInterrupted([&] { return files.Write(file, bytes.data(), bytes.size()); });
    if (written < 0) return false;
    bytes.remove_prefix(static_cast<size_t>(written));
  }
  return true;
}

// The file of one ReplaceFile until it carries its final name; removed unless that succeeds.
class Temporary {
 public:
  Temporary(FileSystem& files, const fs::path& target)
      : files_(files), path_(target.string() + kTemporaryMark + std::to_string(::getpid())) {
    files_.Unlink(path_);  // what a crashed process of the same number may have left
    file_ = RetryInterrupted([&] { return files_.Open(path_, O_WRONLY | O_CREAT | O_EXCL, 0666); });
    if (file_ < 0) ThrowFileError(target, "cannot be written");
  }
  Temporary(const Temporary&) = delete;
  Temporary& operator=(const Temporary&) = delete;
  ~Temporary() {
    if (file_ >= 0) files_.Close(file_);
    if (!path_.empty()) files_.Unlink(path_);
  }

  bool Fill(std::string_view bytes) {
    return WriteAll(files_, file_, bytes) &&
           RetryInterrupted([&] { return files_.Sync(file_); }) == 0 && Close();
  }
  bool MoveTo(const fs::path& target) {
    if (files_.Rename(path_, target.string()) != 0) return false;
    path_.clear();
    return true;
  }

 private:
  bool Close() { return files_.Close(std::exchange(file_, -1)) == 0; }

  FileSystem& files_;
  std::string path_;
  int file_ = -1;
};

void SyncFolder(FileSystem& files, const fs::path& folder) {
  const int file =
      RetryInterrupted([&] { return files.Open(folder.string(), O_RDONLY | O_DIRECTORY, 0); });
  if (file < 0) ThrowFileError(folder, "cannot be opened");
  const bool synced = RetryInterrupted([&] { return files.Sync(file); }) == 0;
  const int reason = errno;
  files.Close(file);
  errno = reason;
  if (!synced) ThrowFileError(folder, "cannot be synchronised");
}

}  // namespace

void ThrowFileError(const fs::path& path, const std::string& what) {
  const int reason = errno;
  throw FileError(path.string() + ": " + what + ": " + std::generic_category().message(reason));
}

ReadHandle::ReadHandle(const fs::path& path)
    : file_(RetryInterrupted(
          // Without O_NONBLOCK a FIFO that nobody writes to would wait here for ever.
          [&] { return ::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK); })) {
  if (file_ < 0) ThrowFileError(path, "cannot be opened");
  struct stat status {};
  if (::fstat(file_, &status) != 0 || !S_ISREG(status.st_mode)) {
    ::close(file_);
    throw FileError(path.string() + ": is not a regular file");
  }
  size_ = status.st_size;
}

ReadHandle::~ReadHandle() { ::close(file_); }

void ReplaceFile(FileSystem& files, const fs::path& path, std::string_view bytes) {
  {
    Temporary temporary(files, path);
    if (!temporary.Fill(bytes) || !temporary.MoveTo(path))
      ThrowFileError(path, "cannot be written");
  }
  SyncFolder(files, FolderOf(path));
}

void AppendFile(FileSystem& files, const fs::path& path, std::string_view text) {
  const int file = RetryInterrupted(
      [&] { return files.Open(path.string(), O_WRONLY | O_CREAT | O_APPEND, 0666); });
  if (file < 0) ThrowFileError(path, "cannot be opened");
  const bool written = WriteAll(files, file, text);
  const int reason = errno;
  files.Close(file);
  errno = reason;
  if (!written) ThrowFileError(path, "cannot be written");
}

void MakeFolders(FileSystem& files, const fs::path& path) {
  fs::path made;
  for (const fs::path& part : path) {
    made /= part;
    std::error_code ignored;
    if (part.empty() || fs::is_directory(made, ignored)) continue;
    if (files.MakeFolder(made.string()) != 0 && errno != EEXIST) {
      ThrowFileError(made, "folder cannot be made");
    }
  }
  if (!fs::is_directory(path)) throw FileError(path.string() + ": is not a folder");
}

void SweepTemporaries(FileSystem& files, const fs::path& folder) {
  for (const auto& entry : fs::directory_iterator(folder)) {
    if (entry.path().filename().string().find(kTemporaryMark) != std::string::npos) {
      files.Unlink(entry.path().string());
    }
  }
}

std::string ReadFile(const fs::path& path, int64_t max_bytes) {
  ReadHandle handle(path);
  if (handle.size() > max_bytes) {
    throw FileError(path.string() + ": has " + std::to_string(handle.size()) +
                    " bytes, allowed are " + std::to_string(max_bytes));
  }
  std::string bytes(static_cast<size_t>(handle.size()), '\0');
  size_t filled = 0;
  while (filled < bytes.size()) {
    const ssize_t got = RetryInterrupted(
        [&] { return ::read(handle.file(), bytes.data() + filled, bytes.size() - filled); });
    if (got < 0) ThrowFileError(path, "cannot be read");
    if (got == 0) throw FileError(path.string() + ": became shorter while it was read");
    filled += static_cast<size_t>(got);
  }
  return bytes;
}

MappedFile::MappedFile(const fs::path& path) {
  ReadHandle handle(path);
  if (handle.size() == 0) return;
  const auto size = static_cast<size_t>(handle.size());
  void* data = ::mmap(nullptr, size, PROT_READ, MAP_PRIVATE, handle.file(), 0);
  if (data == MAP_FAILED) ThrowFileError(path, "cannot be mapped");
  data_ = static_cast<const std::byte*>(data);
  size_ = size;
}

MappedFile::MappedFile(MappedFile&& other) noexcept
    : data_(std::exchange(other.data_, nullptr)), size_(std::exchange(other.size_, 0)) {}

MappedFile::~MappedFile() {
  if (data_ != nullptr) ::munmap(const_cast<std::byte*>(data_), size_);
}

}  // namespace longrope
