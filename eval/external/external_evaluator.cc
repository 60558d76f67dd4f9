#include "eval/external/external_evaluator.h"

#include <algorithm>
#include <iterator>
#include <utility>

#include "eval/document_parts.h"

namespace longrope {

ExternalEvaluator::ExternalEvaluator(WorkerTeam& team, const WorkerHello& hello,
                                     std::vector<Document> documents)
    : team_(team), fingerprint_(hello.fingerprint) {
  std::ranges::move(DocumentParts(documents), std::back_inserter(fingerprint_));
  team_.Share(std::move(documents));
}

void ExternalEvaluator::Run(std::span<const Task> tasks, const Done& done, std::stop_token stop) {
  team_.Run(tasks, done, std::move(stop));
}

}  // namespace longrope
