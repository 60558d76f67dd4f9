// Which documents a stage scores, and which texts it trains on.
#pragma once

#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "eval/text/draw.h"
#include "search/job/job_options.h"
#include "search/job/job_texts.h"
#include "search/job/observer.h"

namespace longrope {

// The fitness documents of a search, then its held-out ones; of an evaluation the held-out ones
// alone, `documents` of them. A seeded draw, no book twice, each from the beginning of its book or
// from a seeded offset. Throws InputError with the counts by length if there are too few books, and
// Stopped.
std::vector<Document> DrawStageDocuments(const Job& job, const StageOptions& stage,
                                         const Reading& reading);

// Those, and tells which are what of a search. nullopt if stopped. Throws InputError.
std::optional<std::vector<Document>> DrawAnnounced(const Job& job, const StageOptions& stage,
                                                   const Reading& reading, RunObserver& observer);

// Throws InputError if the books that a stage is to read are not there, or too few for it. Reads
// none of them, so whether each is long enough remains to be seen.
void CheckStageTexts(const Job& job, const StageOptions& stage, const Reading& reading);

// Where a fine-tune's texts are.
const std::string& TrainPath(const DataOptions& data);
// Calls body(ids) for each of them in the order of the corpus. Throws InputError, and Stopped.
void ForTrainBooks(const DataOptions& data, const Reading& reading,
                   const std::function<void(const std::vector<int32_t>&)>& body);

// Which tokens count under the objective `tail`: those from `original` on.
void MarkTail(const StageOptions& stage, int64_t original, std::vector<Document>* documents);

// "'TITLE', its first 2048 tokens", or from where it begins.
std::string DocumentText(const Document& document);

}  // namespace longrope
