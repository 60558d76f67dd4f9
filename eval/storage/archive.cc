#include "eval/storage/archive.h"

#include <archive.h>
#include <archive_entry.h>

#include <cerrno>
#include <vector>

#include "eval/errors.h"

namespace longrope {
namespace {

constexpr size_t kBlock = 1 << 16;

// libarchive's reader over a source. What the source throws passes through it as an error code, and
// is thrown again on this side.
class Reader {
 public:
  Reader(std::unique_ptr<ByteSource> source, std::string name)
      : source_(std::move(source)),
        name_(std::move(name)),
        block_(kBlock),
        archive_(archive_read_new()) {
    if (archive_ == nullptr) throw std::bad_alloc();
  }
  Reader(const Reader&) = delete;
  Reader& operator=(const Reader&) = delete;
  ~Reader() { archive_read_free(archive_); }

  archive* get() const { return archive_; }
  const ByteSource& source() const { return *source_; }
  const std::string& name() const { return name_; }

  // After formats and filters were chosen.
  void Open() { Check(archive_read_open(archive_, this, nullptr, &Reader::Pull, nullptr)); }
  // nullptr at the end.
  archive_entry* NextEntry() {
    archive_entry* entry = nullptr;
    const int status = archive_read_next_header(archive_, &entry);
    if (status == ARCHIVE_EOF) return nullptr;
    // A warning is about names in other characters sets.
    if (status != ARCHIVE_WARN) Check(status);
    return entry;
  }
  size_t Read(std::span<std::byte> into) {
    const la_ssize_t got = archive_read_data(archive_, into.data(), into.size());
    if (got < 0) Check(ARCHIVE_FATAL);
    return static_cast<size_t>(got);
  }

 private:
  static la_ssize_t Pull(archive*, void* data, const void** buffer) {
    auto* reader = static_cast<Reader*>(data);
    try {
      *buffer = reader->block_.data();
      return static_cast<la_ssize_t>(reader->source_->Read(reader->block_));
    } catch (...) {
      reader->failure_ = std::current_exception();
      archive_set_error(reader->archive_, EIO, "reading failed");
      return -1;
    }
  }
  void Check(int status) const {
    if (failure_) std::rethrow_exception(failure_);
    if (status == ARCHIVE_OK) return;
    const char* why = archive_error_string(archive_);
    throw InputError(name_ + ": is damaged or cut off (" +
                     (why != nullptr && *why != '\0' ? why : "no more is known") + "), within " +
                     std::to_string(source_->position()) + " of its bytes");
  }

  std::unique_ptr<ByteSource> source_;
  std::string name_;
  std::vector<std::byte> block_;
  archive* archive_;
  std::exception_ptr failure_;
};

class UnzstdSource final : public ByteSource {
 public:
  UnzstdSource(std::unique_ptr<ByteSource> compressed, std::string name)
      : reader_(std::move(compressed), std::move(name)) {
    archive_read_support_filter_zstd(reader_.get());
    archive_read_support_format_raw(reader_.get());
    archive_read_support_format_empty(reader_.get());
    reader_.Open();
    empty_ = reader_.NextEntry() == nullptr;
    if (archive_filter_code(reader_.get(), 0) != ARCHIVE_FILTER_ZSTD) {
      throw InputError(reader_.name() + ": is not zstd");
    }
  }
  size_t Read(std::span<std::byte> into) override { return empty_ ? 0 : reader_.Read(into); }
  int64_t position() const override { return reader_.source().position(); }
  int64_t size() const override { return reader_.source().size(); }

 private:
  Reader reader_;
  bool empty_ = false;
};

bool IsPlainFile(archive_entry* entry) {
  return archive_entry_filetype(entry) == AE_IFREG && archive_entry_hardlink(entry) == nullptr &&
         archive_entry_symlink(entry) == nullptr && archive_entry_sparse_count(entry) == 0 &&
         archive_entry_size_is_set(entry) != 0;
}

}  // namespace

std::unique_ptr<ByteSource> Unzstd(std::unique_ptr<ByteSource> compressed, std::string name) {
  return std::make_unique<UnzstdSource>(std::move(compressed), std::move(name));
}

struct TarReader::Impl : Reader {
  using Reader::Reader;
};

TarReader::TarReader(std::unique_ptr<ByteSource> bytes, std::string name)
    : impl_(std::make_unique<Impl>(std::move(bytes), std::move(name))) {
  archive_read_support_format_tar(impl_->get());
  archive_read_support_format_empty(impl_->get());
  impl_->Open();
}
TarReader::~TarReader() = default;

bool TarReader::Next() {
  while (archive_entry* entry = impl_->NextEntry()) {
    ++number_;
    if (!IsPlainFile(entry)) continue;
    const char* path = archive_entry_pathname(entry);
    path_ = path != nullptr ? path : "";
    size_ = archive_entry_size(entry);
    return true;
  }
  return false;
}

size_t TarReader::Read(std::span<std::byte> into) { return impl_->Read(into); }

const ByteSource& TarReader::bytes() const { return impl_->source(); }

}  // namespace longrope
