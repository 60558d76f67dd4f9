#include "search/job/stage_documents.h"

#include <algorithm>

#include "search/rng.h"

namespace longrope {

std::vector<Document> DrawStageDocuments(const Job& job, const StageOptions& stage,
                                         const Tokenizer& tokenizer) {
  const auto corpus = OpenCorpus({job.data.path, job.data.text_field});
  DrawOptions draw{stage.length, job.data.min_tokens, stage.documents + stage.held_out,
                   job.data.join};
  const auto stream = [&](const char* purpose, uint32_t number) {
    return Rng(static_cast<uint64_t>(job.seed), stage.name + purpose, number, 0);
  };
  if (stage.window == "random") {
    draw.offset = [&](int index, int64_t positions) {
      Rng rng = stream("/windows", static_cast<uint32_t>(index));
      return int64_t{rng.Below(static_cast<uint32_t>(std::min<int64_t>(positions, UINT32_MAX)))};
    };
  }
  return DrawDocuments(*corpus, tokenizer, draw, [&](size_t books) {
    Rng rng = stream("/documents", 0);
    return RandomOrder(books, rng);
  });
}

std::string DocumentText(const Document& document) {
  const std::string count = std::to_string(document.tokens.size()) + " tokens";
  return "'" + document.title + "', " +
         (document.offset == 0 ? "its first " + count
                               : count + " from token " + std::to_string(document.offset));
}

}  // namespace longrope
