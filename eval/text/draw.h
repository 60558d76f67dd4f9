// Documents drawn from books.
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "eval/text/books.h"
#include "eval/text/document.h"

namespace longrope {

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
// looked at, each once. Books are read in that order, and only as many as are needed. Throws
// InputError with the counts by length if there are too few.
std::vector<Document> DrawDocuments(const Books& books, const DrawOptions& options,
                                    const std::function<std::vector<size_t>(size_t)>& order);

}  // namespace longrope
