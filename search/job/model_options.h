// What a job says of its model, as the evaluation wants it.
#pragma once

#include "eval/backend.h"
#include "eval/external/worker_team.h"
#include "eval/scorer.h"
#include "search/job/stage_plan.h"

namespace longrope {

// What a job says over a model's config.
inline ConfigOverrides OverridesOf(const ModelOptions& options) {
  return {options.original_length, options.rope_base, options.head_dim};
}

// What a stage needs to know of a model: the factors of its config hold at the longest length.
inline StageModel StageModelOf(const ModelConfig& config) {
  StageModel model{config.Rope(), std::nullopt};
  if (config.own_factors) model.given = config.own_factors->Longest();
  return model;
}

// Memory that one document may take; 0: as much as is free.
inline int64_t MemoryBytesOf(const BackendJobOptions& options) {
  return options.memory_gb ? static_cast<int64_t>(*options.memory_gb * 1e9) : 0;
}

// What computes.
inline BackendOptions BackendOptionsOf(const BackendJobOptions& options,
                                       std::function<void(const std::string&)> report) {
  return {options.name, options.threads, options.dtype, MemoryBytesOf(options), std::move(report)};
}

// Worker processes that compute instead.
inline WorkerOptions WorkerOptionsOf(const BackendJobOptions& options) {
  WorkerOptions workers{.command = options.command};
  workers.workers = options.workers.value_or(workers.workers);
  workers.start_timeout = options.start_timeout.value_or(workers.start_timeout);
  workers.silence_timeout = options.silence_timeout.value_or(workers.silence_timeout);
  workers.task_timeout = options.task_timeout.value_or(workers.task_timeout);
  return workers;
}

// How a stage's documents are scored.
inline ScorerOptions ScorerOptionsOf(const Job& job, const StageOptions& stage,
                                     bool sliding_window) {
  return {MemoryBytesOf(job.backend), stage.length, sliding_window};
}

}  // namespace longrope
