#include "eval/storage/byte_source.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "eval/storage/archive.h"
#include "eval/storage/files.h"
#include "eval/storage/gunzip.h"

namespace longrope {
namespace {

class PlainFile final : public ByteSource {
 public:
  explicit PlainFile(const std::filesystem::path& path)
      : path_(path),
        file_(RetryInterrupted([&] { return ::open(path.c_str(), O_RDONLY | O_CLOEXEC); })) {
    if (file_ < 0) ThrowFileError(path, "cannot be opened");
    struct stat status {};
    if (::fstat(file_, &status) != 0 || !S_ISREG(status.st_mode)) {
      ::close(file_);
      throw FileError(path.string() + ": is not a regular file");
    }
    size_ = status.st_size;
  }
  PlainFile(const PlainFile&) = delete;
  PlainFile& operator=(const PlainFile&) = delete;
  ~PlainFile() override { ::close(file_); }

  size_t Read(std::span<std::byte> into) override {
    const ssize_t got = RetryInterrupted([&] { return ::read(file_, into.data(), into.size()); });
    if (got < 0) ThrowFileError(path_, "cannot be read");
    position_ += got;
    return static_cast<size_t>(got);
  }
  int64_t position() const override { return position_; }
  int64_t size() const override { return size_; }

 private:
  std::filesystem::path path_;
  int file_;
  int64_t position_ = 0, size_ = 0;
};

}  // namespace

std::unique_ptr<ByteSource> OpenBytes(const std::filesystem::path& path) {
  auto plain = std::make_unique<PlainFile>(path);
  const auto extension = path.extension();
  if (extension == ".gz" || extension == ".tgz") return Gunzip(std::move(plain), path.string());
  if (extension == ".zst") return Unzstd(std::move(plain), path.string());
  return plain;
}

}  // namespace longrope
