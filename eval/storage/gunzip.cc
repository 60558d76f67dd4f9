#include "eval/storage/gunzip.h"

#include <zlib.h>

#include <algorithm>
#include <vector>

#include "eval/errors.h"

namespace longrope {
namespace {

constexpr size_t kBlock = 1 << 16;
constexpr int kGzipOnly = 16 + MAX_WBITS;  // zlib's code: a gzip header, no other

class GunzipSource final : public ByteSource {
 public:
  GunzipSource(std::unique_ptr<ByteSource> compressed, std::string name)
      : compressed_(std::move(compressed)), name_(std::move(name)), block_(kBlock) {
    if (inflateInit2(&stream_, kGzipOnly) != Z_OK) throw std::bad_alloc();
  }
  GunzipSource(const GunzipSource&) = delete;
  GunzipSource& operator=(const GunzipSource&) = delete;
  ~GunzipSource() override { inflateEnd(&stream_); }

  size_t Read(std::span<std::byte> into) override {
    const size_t wanted = std::min<size_t>(into.size(), kBlock);
    stream_.next_out = reinterpret_cast<Bytef*>(into.data());
    stream_.avail_out = static_cast<uInt>(wanted);
    while (stream_.avail_out == wanted) {
      if (stream_.avail_in == 0 && !Refill()) {
        if (!between_) Refuse("is cut off");
        return 0;
      }
      if (between_ && !Begin()) continue;
      const int status = inflate(&stream_, Z_NO_FLUSH);
      if (status == Z_STREAM_END) {
        inflateReset(&stream_);
        between_ = true;
        members_ = true;
      } else if (status != Z_OK && status != Z_BUF_ERROR) {
        Refuse(std::string("is damaged (") +
               (stream_.msg != nullptr ? stream_.msg : "a dictionary is asked for") + ")");
      }
    }
    return wanted - stream_.avail_out;
  }
  int64_t position() const override { return compressed_->position(); }
  int64_t size() const override { return compressed_->size(); }

 private:
  [[noreturn]] void Refuse(const std::string& why) const {
    throw InputError(name_ + ": " + why + ", within " + std::to_string(position()) +
                     " of its bytes");
  }
  bool Refill() {
    stream_.next_in = reinterpret_cast<Bytef*>(block_.data());
    stream_.avail_in = static_cast<uInt>(compressed_->Read(block_));
    return stream_.avail_in > 0;
  }
  // Is there a member to read? Padding is passed over.
  bool Begin() {
    while (members_ && stream_.avail_in > 0 && *stream_.next_in == 0) {
      ++stream_.next_in;
      --stream_.avail_in;
    }
    between_ = stream_.avail_in == 0;
    return !between_;
  }

  std::unique_ptr<ByteSource> compressed_;
  std::string name_;
  std::vector<std::byte> block_;
  z_stream stream_ = {};
  bool between_ = false;  // members, where the file may end
  bool members_ = false;  // was there one?
};

}  // namespace

std::unique_ptr<ByteSource> Gunzip(std::unique_ptr<ByteSource> compressed, std::string name) {
  return std::make_unique<GunzipSource>(std::move(compressed), std::move(name));
}

}  // namespace longrope
