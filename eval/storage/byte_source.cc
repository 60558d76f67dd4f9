#include "eval/storage/byte_source.h"

#include <unistd.h>

#include "eval/storage/archive.h"
#include "eval/storage/files.h"
#include "eval/storage/gunzip.h"

namespace longrope {
namespace {

class PlainFile final : public ByteSource {
 public:
  explicit PlainFile(const std::filesystem::path& path) : path_(path), handle_(path) {}

  size_t Read(std::span<std::byte> into) override {
    const ssize_t got =
        RetryInterrupted([&] { return ::read(handle_.file(), into.data(), into.size()); });
    if (got < 0) ThrowFileError(path_, "cannot be read");
    position_ += got;
    return static_cast<size_t>(got);
  }
  int64_t position() const override { return position_; }
  int64_t size() const override { return handle_.size(); }

 private:
  std::filesystem::path path_;
  ReadHandle handle_;
  int64_t position_ = 0;
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
