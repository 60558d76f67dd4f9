// Compressed files as people publish texts.
#pragma once

#include <string>
#include <vector>

namespace longrope::testing {

// How the bytes of a file are packed.
enum class Packing { kNone, kGzip, kZstd };

std::string Packed(const std::string& bytes, Packing packing);

// An entry of a tar.
struct TarEntry {
  std::string path, text;
  char kind = 'f';  // f: a file; l: a symbolic link to `text`; h: a hard link; d: a folder; s: a
                    // file with a hole before `text`
};

std::string PackedTar(const std::vector<TarEntry>& entries, Packing packing);

}  // namespace longrope::testing
