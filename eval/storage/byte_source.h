// Bytes from beginning to end: of a file as it stands, or of what it holds compressed.
#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <memory>
#include <span>

namespace longrope {

// Reads on as it is asked; never holds more than a block. Every call throws InputError that names
// the file.
class ByteSource {
 public:
  virtual ~ByteSource() = default;
  // Fills `into` from its beginning. 0: nothing is left.
  virtual size_t Read(std::span<std::byte> into) = 0;
  // Bytes of the file that were read so far, and that it has.
  virtual int64_t position() const = 0;
  virtual int64_t size() const = 0;
};

// By the file's name: .gz and .tgz (with every check sum verified), .zst, or as it stands.
std::unique_ptr<ByteSource> OpenBytes(const std::filesystem::path& path);

}  // namespace longrope
