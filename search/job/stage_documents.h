// Which documents a stage scores.
#pragma once

#include <vector>

#include "eval/text/corpus.h"
#include "search/job/job_options.h"

namespace longrope {

// The stage's fitness documents, then its held-out ones: a seeded draw, no book twice, each from
// the beginning of its book or from a seeded offset. Throws InputError with the counts by length if
// there are too few books.
std::vector<Document> DrawStageDocuments(const Job& job, const StageOptions& stage,
                                         const Tokenizer& tokenizer);

// "'TITLE', its first 2048 tokens", or from where it begins.
std::string DocumentText(const Document& document);

}  // namespace longrope
