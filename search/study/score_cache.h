// Scores that searches of one study share, in a file.
#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <unordered_map>

#include "eval/evaluator.h"
#include "eval/score.h"
#include "eval/storage/file_system.h"
#include "search/job/stage_evaluators.h"

namespace longrope {

// A file of lines "key,nats,tokens,check". It may lose its newest scores in a crash, never lie: a
// line that is not whole is left out.
class ScoreCache {
 public:
  // Reads what the file holds, if there is one, and removes what a crash left half-written.
  // `files` outlives the cache. Throws FileError.
  ScoreCache(FileSystem& files, std::filesystem::path path);

  size_t size() const { return scores_.size(); }
  std::optional<Score> Find(const std::string& key) const;
  // Appends to the file. Throws FileError.
  void Add(const std::string& key, const Score& score);

 private:
  FileSystem& files_;
  std::filesystem::path path_;
  std::unordered_map<std::string, Score> scores_;
};

// SHA-256 over all that the score of a task depends on: of the evaluator's fingerprint every part
// but those of other documents, and the factors. Equal documents of different searches share it.
std::string ScoreKey(const FingerprintParts& fingerprint, const Task& task);

// Evaluators of a job that look into a cache first.
class CachedStages final : public StageEvaluators {
 public:
  // Both outlive it.
  CachedStages(StageEvaluators& stages, ScoreCache& cache) : stages_(stages), cache_(cache) {}
  RopeShape Shape() override { return stages_.Shape(); }
  Evaluator* For(const StageOptions& stage, std::stop_token stop) override;
  std::string FindNonFiniteWeight() override { return stages_.FindNonFiniteWeight(); }

  // What For gave last; nullptr before.
  Evaluator* current() const { return evaluator_.get(); }

 private:
  StageEvaluators& stages_;
  ScoreCache& cache_;
  std::unique_ptr<Evaluator> evaluator_;
};

}  // namespace longrope
