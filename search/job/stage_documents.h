// Which documents a stage scores.
#pragma once

#include <string>
#include <vector>

#include "eval/text/corpus.h"
#include "search/job/job_options.h"

namespace longrope {

// Where a stage's texts are.
const std::string& TextPath(const Job& job, const StageOptions& stage);

// The texts that a stage names, or all, in the order of the corpus. Throws InputError.
std::vector<std::string> TextsOf(const Job& job, const StageOptions& stage);

// The stage's fitness documents, then its held-out ones: a seeded draw, no book twice, each from
// the beginning of its book or from a seeded offset; from the books that the stage names for
// either, where it does. Throws InputError with the counts by length if there are too few books.
std::vector<Document> DrawStageDocuments(const Job& job, const StageOptions& stage,
                                         const Tokenizer& tokenizer);

// "'TITLE', its first 2048 tokens", or from where it begins.
std::string DocumentText(const Document& document);

}  // namespace longrope
