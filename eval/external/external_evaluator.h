// An evaluator whose scores come from worker processes.
#pragma once

#include <vector>

#include "eval/external/worker_team.h"

namespace longrope {

class ExternalEvaluator final : public Evaluator {
 public:
  // `team` has said hello and outlives the evaluator, whose documents it now scores: one evaluator
  // a time.
  ExternalEvaluator(WorkerTeam& team, const WorkerHello& hello, std::vector<Document> documents);
  // As WorkerTeam::Run.
  void Run(std::span<const Task> tasks, const Done& done, std::stop_token stop) override;
  // What the workers say of themselves, and the documents.
  FingerprintParts Fingerprint() const override { return fingerprint_; }

 private:
  WorkerTeam& team_;
  FingerprintParts fingerprint_;
};

}  // namespace longrope
