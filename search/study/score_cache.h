// Scores that searches of one study share.
#pragma once

#include <filesystem>
#include <memory>
#include <optional>
#include <string>
#include <utility>

#include "eval/evaluator.h"
#include "eval/score.h"
#include "eval/storage/line_cache.h"
#include "search/job/stage_evaluators.h"

namespace longrope {

// By ScoreKey, in a file.
class ScoreCache {
 public:
  // As LineCache.
  ScoreCache(FileSystem& files, std::filesystem::path path) : lines_(files, std::move(path)) {}

  size_t size() const { return lines_.size(); }
  std::optional<Score> Find(const std::string& key) const;
  void Add(const std::string& key, const Score& score);

 private:
  LineCache lines_;
};

// What a fingerprint says of one document, whatever its number: title, ids, which tokens count.
// Its number where it says nothing.
std::string DocumentOf(const FingerprintParts& fingerprint, int number);

// SHA-256 over all that the score of a task depends on: of the evaluator's fingerprint every part
// but those of other documents, and the factors. Equal documents of different searches share it.
std::string ScoreKey(const FingerprintParts& fingerprint, const Task& task);

// Evaluators of a job that look into a cache first.
class CachedStages final : public StageEvaluators {
 public:
  // Both outlive it.
  CachedStages(StageEvaluators& stages, ScoreCache& cache) : stages_(stages), cache_(cache) {}
  StageModel ModelAt(const std::string& path) override { return stages_.ModelAt(path); }
  Evaluator* For(const StageOptions& stage, const std::string& path, std::stop_token stop) override;
  void Release() override { stages_.Release(); }
  std::string FindNonFiniteWeight() override { return stages_.FindNonFiniteWeight(); }

  // What For gave last; nullptr before.
  Evaluator* current() const { return evaluator_.get(); }

 private:
  StageEvaluators& stages_;
  ScoreCache& cache_;
  std::unique_ptr<Evaluator> evaluator_;
};

}  // namespace longrope
