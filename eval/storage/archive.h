// tar and zstd, through libarchive; the only place that names it. Nothing is ever unpacked to disk.
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <string>

#include "eval/storage/byte_source.h"

namespace longrope {

// What `compressed` holds. Reading throws InputError, beginning with `name`, where it is not zstd,
// is cut off, or fails its check sum.
std::unique_ptr<ByteSource> Unzstd(std::unique_ptr<ByteSource> compressed, std::string name);

// The files of a tar, one after the other. Links, folders, devices and files with holes are passed
// over. Every call throws InputError, beginning with `name`, where the tar is damaged or cut off.
class TarReader {
 public:
  TarReader(std::unique_ptr<ByteSource> bytes, std::string name);
  ~TarReader();
  // To the next file; false at the end.
  bool Next();
  // Of the file at hand. The path is whatever the tar says: good for a title, never to be opened.
  const std::string& path() const { return path_; }
  int64_t size() const { return size_; }
  int64_t number() const { return number_; }  // among all entries, from 1
  // Reads on in the file at hand. 0: nothing is left.
  size_t Read(std::span<std::byte> into);
  const ByteSource& bytes() const;

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
  std::string path_;
  int64_t size_ = 0, number_ = 0;
};

}  // namespace longrope
