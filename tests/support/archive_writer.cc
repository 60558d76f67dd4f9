#include "tests/support/archive_writer.h"

#include <archive.h>
#include <archive_entry.h>

#include <stdexcept>

namespace longrope::testing {
namespace {

constexpr int64_t kHole = 1 << 20;

class Writer {
 public:
  Writer(Packing packing, bool tar) : archive_(archive_write_new()) {
    Check(tar ? archive_write_set_format_pax(archive_) : archive_write_set_format_raw(archive_));
    if (packing == Packing::kGzip) Check(archive_write_add_filter_gzip(archive_));
    if (packing == Packing::kZstd) Check(archive_write_add_filter_zstd(archive_));
    archive_write_set_bytes_in_last_block(archive_, 1);
    Check(archive_write_open(archive_, &bytes_, nullptr, &Append, nullptr));
  }
  Writer(const Writer&) = delete;
  Writer& operator=(const Writer&) = delete;
  ~Writer() { archive_write_free(archive_); }

  void Add(const TarEntry& entry) {
    archive_entry* header = archive_entry_new();
    archive_entry_set_pathname(header, entry.path.c_str());
    archive_entry_set_perm(header, 0644);
    const auto size = static_cast<int64_t>(entry.text.size());
    const bool holds = entry.kind == 'f' || entry.kind == 's';
    archive_entry_set_filetype(header, entry.kind == 'l'   ? AE_IFLNK
                                       : entry.kind == 'd' ? AE_IFDIR
                                                           : AE_IFREG);
    if (entry.kind == 'l') archive_entry_set_symlink(header, entry.text.c_str());
    if (entry.kind == 'h') archive_entry_set_hardlink(header, entry.text.c_str());
    archive_entry_set_size(header, entry.kind == 's' ? kHole + size : holds ? size : 0);
    if (entry.kind == 's') archive_entry_sparse_add_entry(header, kHole, size);
    Check(archive_write_header(archive_, header));
    archive_entry_free(header);
    if (entry.kind == 's') Write(std::string(kHole, '\0'));
    if (holds) Write(entry.text);
  }
  std::string Finish() {
    Check(archive_write_close(archive_));
    return bytes_;
  }

 private:
  static la_ssize_t Append(archive*, void* to, const void* data, size_t size) {
    static_cast<std::string*>(to)->append(static_cast<const char*>(data), size);
    return static_cast<la_ssize_t>(size);
  }
  void Write(const std::string& text) {
    if (archive_write_data(archive_, text.data(), text.size()) < 0) Check(ARCHIVE_FATAL);
  }
  void Check(int status) {
    if (status != ARCHIVE_OK) throw std::runtime_error(archive_error_string(archive_));
  }

  std::string bytes_;
  archive* archive_;
};

}  // namespace

std::string Packed(const std::string& bytes, Packing packing) {
  Writer writer(packing, false);
  writer.Add({"bytes", bytes});
  return writer.Finish();
}

std::string PackedTar(const std::vector<TarEntry>& entries, Packing packing) {
  Writer writer(packing, true);
  for (const TarEntry& entry : entries) writer.Add(entry);
  return writer.Finish();
}

}  // namespace longrope::testing
