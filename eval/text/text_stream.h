// Texts of a compressed file or a tar, one after the other.
#pragma once

#include <cstdint>
#include <filesystem>
#include <memory>
#include <optional>
#include <string>

#include "eval/storage/byte_source.h"
#include "eval/text/json_record.h"

namespace longrope {

// Of a text in such a file, a JSON line around it included. The longest published book has 9 MB.
inline constexpr int64_t kMaxStreamedBytes = int64_t{256} << 20;

// Every call throws InputError with the file, and the line or member, where the file is damaged, or
// a text is longer than kMaxStreamedBytes.
class TextStream {
 public:
  virtual ~TextStream() = default;
  // To the next place where a text may be; false at the end.
  virtual bool Next() = 0;
  // Of that place: its line, or its number among the entries of the tar; from 1, growing.
  virtual int64_t number() const = 0;
  // Of a tar: the name of the file without folders and .txt, characters that do not print replaced.
  // Else "".
  virtual std::string Title() const = 0;
  // The text there with CRLF folded; call once. Nothing if a filter does not hold. Throws
  // InputError if it is not a text (UTF-8, JSON with the field): going on is possible.
  virtual std::optional<std::string> Text() = 0;
  virtual const ByteSource& bytes() const = 0;
};

// .tar[.gz|.zst] and .tgz: the members named *.txt; .jsonl[.gz|.zst]: its lines. `records` outlives
// the stream.
std::unique_ptr<TextStream> OpenTextStream(const std::filesystem::path& path,
                                           const JsonRecords& records);

bool IsTar(const std::filesystem::path& path);
// .jsonl.gz or .jsonl.zst.
bool IsPackedJsonLines(const std::filesystem::path& path);
// The file's name without the endings above.
std::string StemOf(const std::filesystem::path& path);

}  // namespace longrope
