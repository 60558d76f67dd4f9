// Books that were tokenized before: raw files of ids, little-endian, without a header.
#pragma once

#include <cstdint>
#include <filesystem>
#include <memory>
#include <optional>
#include <string>

#include "eval/text/books.h"

namespace longrope {

// What an id takes in the files.
inline constexpr const char* kTokenTypes[] = {"uint16", "uint32"};

struct TokenFilesOptions {
  std::filesystem::path path;             // a file, or a folder of .bin, .u16 and .u32 files
  std::string type = kTokenTypes[0];      // one of kTokenTypes
  std::optional<int64_t> separator = {};  // id between the books of a file; unset: a file is a book
  int64_t vocab = int64_t{1} << 31;       // ids are below
  std::string key = "data.path";  // of the job, where messages say what is wrong with the path
};

// Titles are file names without their ending, with a separator NAME:NUMBER. The separator is no
// part of a book, nothing is put before one, and empty ones are left out. Ids that are not below
// `vocab` are refused with file and byte when they are read. Throws InputError if nothing is there,
// or a file is not a whole number of ids.
std::unique_ptr<Books> OpenTokenFiles(const TokenFilesOptions& options);

}  // namespace longrope
