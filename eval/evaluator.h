// From (factors, document) to a score, whoever computes it.
#pragma once

#include <cstdint>
#include <functional>
#include <span>
#include <stop_token>
#include <string>
#include <utility>
#include <vector>

#include "eval/rope_factors.h"
#include "eval/score.h"

namespace longrope {

// (name, value) pairs.
using FingerprintParts = std::vector<std::pair<std::string, std::string>>;

struct Task {
  int64_t candidate = 0;  // the caller's number of these factors; -1, -2, ... of baselines
  int document = 0;       // index into the evaluator's documents
  RopeFactors factors;
};

// "candidate 3 on 'TITLE'", "baseline 1 on 'TITLE'".
inline std::string TaskText(const Task& task, const std::string& title) {
  return (task.candidate < 0 ? "baseline " + std::to_string(-task.candidate)
                             : "candidate " + std::to_string(task.candidate)) +
         " on '" + title + "'";
}

class Evaluator {
 public:
  virtual ~Evaluator() = default;
  using Done = std::function<void(const Task&, const Score&)>;
  // Scores every task; `done` is called once per task, from one thread at a time, in any order, as
  // soon as its score is known. On a stop request returns soon (a chunk of rows, not a document)
  // without having called `done` for the tasks in flight. Throws only if no task can be scored any
  // more; what was reported stays valid.
  virtual void Run(std::span<const Task> tasks, const Done& done, std::stop_token stop) = 0;
  // Everything a score depends on besides the factors: model, documents, engine.
  // Two evaluators with equal fingerprints give equal bits.
  virtual FingerprintParts Fingerprint() const = 0;
};

}  // namespace longrope
