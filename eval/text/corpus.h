// Texts on disk, and the documents drawn from them.
#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "eval/text/tokenizer.h"

namespace longrope {

// Where texts come from: a folder of .txt files (in the order of their names), one .txt file, or a
// .jsonl file whose lines are objects with a text under `text_field`.
struct CorpusOptions {
  std::filesystem::path path;
  std::string text_field = "text";
  std::string key = "data.path";  // of the job, where messages say what is wrong with the path
};

// Texts by index, read when asked for. CRLF is folded to LF, as PG-19's readers do; anything that
// is not UTF-8 is refused with file and offset.
class Corpus {
 public:
  virtual ~Corpus() = default;
  virtual size_t size() const = 0;
  virtual std::string Title(size_t index) const = 0;  // file name without .txt, or name:line
  virtual std::string Text(size_t index) const = 0;
};

// Throws InputError if nothing is there.
std::unique_ptr<Corpus> OpenCorpus(const CorpusOptions& options);

// One text file as a corpus reads it.
std::string ReadText(const std::filesystem::path& path);

// A document of exactly the tokens that are scored in one pass.
struct Document {
  std::string title;   // of its book, or of the books that were joined, " + " between
  std::string digest;  // SHA-256 of its ids, decimal, one a line: equal to `tokenize | sha256sum`
  int64_t offset = 0;  // ids of its (first) book left out before it; what a tokenizer puts before a
                       // text is there all the same
  std::vector<int32_t> tokens;
  std::vector<uint8_t> scored = {};  // 1 for each token whose loss counts; empty: all
  std::string objective = {};        // what says which they are; one line
};

// The digest of Document.
std::string TokensDigest(const std::vector<int32_t>& tokens);

struct DrawOptions {
  int64_t length = 0;      // tokens of every document, BOS included
  int64_t min_tokens = 0;  // books shorter than this are left out
  int count = 0;           // documents to draw
  bool join = false;       // concatenate whole books (BOS once) until a document is long enough
  // The offset of document `index`, in [0, positions); unset: 0. Joined documents begin anywhere in
  // their first book.
  std::function<int64_t(int index, int64_t positions)> offset = {};
};

// The first `count` books of a random order that are long enough, or documents joined from them;
// no book serves two documents. order(n) gives the random order in which some or all of n books are
// looked at, each once. Books are tokenized in that order, and only as many as are needed. Throws
// InputError with the counts by length if there are too few.
std::vector<Document> DrawDocuments(const Corpus& corpus, const Tokenizer& tokenizer,
                                    const DrawOptions& options,
                                    const std::function<std::vector<size_t>(size_t)>& order);

}  // namespace longrope
