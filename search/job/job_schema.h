// The keys of a job file, each once: key, field, role, what is allowed. Visited to read, to write
// and to compare jobs.
#pragma once

#include <limits>
#include <string>
#include <vector>

#include "eval/backend.h"
#include "eval/model/model_limits.h"
#include "eval/text/json_record.h"
#include "eval/text/token_files.h"
#include "search/job/job_options.h"
#include "search/seeds.h"

namespace longrope {

// What a change of the key does to a run that has begun.
enum class KeyRole {
  kResult,  // changes results: a resumed run refuses another value
  kBudget,  // may be raised
  kPlace,   // where things are and how many threads work; results do not depend on it
};

// What values a key takes.
struct Rule {
  double low = -std::numeric_limits<double>::infinity();
  double high = std::numeric_limits<double>::infinity();
  std::vector<std::string> names = {};            // of a text, or of each text of a list
  bool (*accepts)(const std::string&) = nullptr;  // of a text, instead of `names`
  std::string allowed = {};                       // what `accepts` accepts
  bool required = false;
};

inline Rule Range(double low, double high) { return {.low = low, .high = high}; }
inline Rule OneOf(std::vector<std::string> names) { return {.names = std::move(names)}; }
inline Rule Required(Rule rule = {}) {
  rule.required = true;
  return rule;
}

// Is this a value of StageOptions::attention?
bool IsAttention(const std::string& text);
// Letters, digits, - and _.
bool IsPlainName(const std::string& text);

inline bool IsFilled(const std::string& text) { return !text.empty(); }

inline Rule Filled(const std::string& what) {
  return {.accepts = IsFilled, .allowed = what + " that are not empty"};
}

template <class Visitor>
void Describe(Visitor& visit, ModelOptions& o) {
  visit("path", o.path, KeyRole::kPlace,
        Required({.accepts = IsFilled, .allowed = "a path that is not empty"}));
  visit("original_length", o.original_length, KeyRole::kResult, Range(kMinLength, kMaxLength));
  visit("rope_base", o.rope_base, KeyRole::kResult, Range(1.001, 1e12));
  visit("head_dim", o.head_dim, KeyRole::kResult, Range(kMinHeadDim, kMaxHeadDim));
}

template <class Visitor>
void Describe(Visitor& visit, DataOptions& o) {
  visit("path", o.path, KeyRole::kPlace,
        Required({.accepts = IsFilled, .allowed = "a path that is not empty"}));
  visit("text_field", o.text_field, KeyRole::kResult, Rule{});
  visit("filter", o.filter, KeyRole::kResult,
        Rule{.accepts = IsRecordFilter, .allowed = "FIELD=VALUE, as meta.pile_set_name=Books3"});
  visit("tokens", o.tokens, KeyRole::kResult,
        OneOf({std::begin(kTokenTypes), std::end(kTokenTypes)}));
  visit("separator", o.separator, KeyRole::kResult, Range(0, kMaxLength));
  visit("min_tokens", o.min_tokens, KeyRole::kResult, Range(0, kMaxLength));
  visit("join", o.join, KeyRole::kResult, Rule{});
  visit("fitness_books", o.fitness_books, KeyRole::kResult, Filled("titles"));
  visit("held_out_books", o.held_out_books, KeyRole::kResult, Filled("titles"));
  visit("train_path", o.train_path, KeyRole::kPlace, Rule{});
  visit("train_books", o.train_books, KeyRole::kResult, Filled("titles"));
  visit("evaluate_path", o.evaluate_path, KeyRole::kPlace, Rule{});
  visit("cache", o.cache, KeyRole::kPlace, Rule{});
  visit("cache_gb", o.cache_gb, KeyRole::kPlace, Range(0.001, 1e6));
}

// Of an engine of this program.
template <class Visitor>
void DescribeEngine(Visitor& visit, BackendJobOptions& o) {
  visit("name", o.name, KeyRole::kPlace, OneOf(BackendNames()));
  visit("threads", o.threads, KeyRole::kPlace, Range(0, 1024));
  visit("dtype", o.dtype, KeyRole::kPlace, OneOf(BackendDTypes()));
  visit("memory_gb", o.memory_gb, KeyRole::kPlace, Range(0.001, 1e6));
}

// Of workers, beside their command.
template <class Visitor>
void DescribeWorkers(Visitor& visit, BackendJobOptions& o) {
  visit("workers", o.workers, KeyRole::kPlace, Range(1, 1024));
  visit("start_timeout", o.start_timeout, KeyRole::kPlace, Range(0.1, 1e6));
  visit("silence_timeout", o.silence_timeout, KeyRole::kPlace, Range(0.1, 1e6));
  visit("task_timeout", o.task_timeout, KeyRole::kPlace, Range(0.1, 1e9));
}

template <class Visitor>
void DescribeCommand(Visitor& visit, BackendJobOptions& o) {
  visit("command", o.command, KeyRole::kPlace, Filled("words"));
}

template <class Visitor>
void Describe(Visitor& visit, BackendJobOptions& o) {
  DescribeEngine(visit, o);
  DescribeCommand(visit, o);
  DescribeWorkers(visit, o);
}

template <class Visitor>
void Describe(Visitor& visit, OutputOptions& o) {
  visit("folder", o.folder, KeyRole::kPlace, Rule{});
}

template <class Visitor>
void DescribeYarn(Visitor& visit, StageOptions& o) {
  const KeyRole result = KeyRole::kResult;
  visit("yarn_beta_fast", o.yarn.beta_fast, result, Range(0.001, 1e6));
  visit("yarn_beta_slow", o.yarn.beta_slow, result, Range(0.001, 1e6));
  visit("yarn_truncate", o.yarn.truncate, result, Rule{});
}

template <class Visitor>
void DescribeFinetune(Visitor& visit, StageOptions& o) {
  visit("factors", o.finetune.factors, KeyRole::kResult, Required(Filled("names")));
  visit("steps", o.finetune.steps, KeyRole::kResult, Required(Range(1, 1e9)));
  visit("lengths", o.lengths, KeyRole::kResult, Range(kMinLength, kMaxLength));
  visit("command", o.finetune.command, KeyRole::kPlace, Rule{});
}

template <class Visitor>
void DescribeEvaluate(Visitor& visit, StageOptions& o) {
  const KeyRole result = KeyRole::kResult;
  EvaluateOptions& evaluate = o.evaluate;
  visit("rows", evaluate.rows, result, Required(Filled("rows")));
  visit("reference", evaluate.reference, result, Rule{});
  visit("protocols", evaluate.protocols, result,
        OneOf({std::begin(kProtocols), std::end(kProtocols)}));
  visit("lengths", o.lengths, result, Required(Range(kMinLength, kMaxLength)));
  visit("documents", o.documents, result, Range(1, 10000));
  visit("window", o.window, result, OneOf({std::begin(kWindows), std::end(kWindows)}));
  visit("stride", evaluate.stride, result, Range(1, kMaxLength));
  visit("sliding_tokens", evaluate.sliding_tokens, result, Range(kMinLength, kMaxLength));
  visit("tries", evaluate.tries, result, Range(1, 10000));
  visit("start_tokens", o.start_tokens, result, Range(0, kMaxLength));
  visit("confidence", evaluate.confidence, result, Range(0.5, 0.999));
  visit("resamples", evaluate.resamples, result, Range(100, 1e6));
  DescribeYarn(visit, o);
}

template <class Visitor>
void DescribeSearch(Visitor& visit, StageOptions& o) {
  constexpr double kMany = 1e6;
  const KeyRole result = KeyRole::kResult;
  visit("preset", o.preset, result, OneOf({std::begin(kPresets), std::end(kPresets)}));
  if (o.kind == "readjust") {
    visit("extends", o.extends, result, Rule{});
    visit("lengths", o.lengths, result, Range(kMinLength, kMaxLength));
  } else {
    visit("length", o.length, result, Required(Range(kMinLength, kMaxLength)));
  }
  visit("documents", o.documents, result, Range(1, 10000));
  visit("held_out", o.held_out, result, Range(0, 10000));
  visit("window", o.window, result, OneOf({std::begin(kWindows), std::end(kWindows)}));
  visit("objective", o.objective, result, OneOf({std::begin(kObjectives), std::end(kObjectives)}));
  visit("key_model", o.key_model, KeyRole::kPlace, Rule{});
  visit("key_method", o.key_method, result, OneOf(RopeMethodNames()));
  visit("key_gain", o.key_rule.gain, result, Range(0, 100));
  visit("key_floor", o.key_rule.floor, result, Range(-100, 0));
  visit("population", o.evolution.population, result, Range(1, kMany));
  visit("generations", o.evolution.generations, KeyRole::kBudget, Range(0, kMany));
  visit("mutations", o.evolution.mutations, result, Range(0, kMany));
  visit("crossovers", o.evolution.crossovers, result, Range(0, kMany));
  visit("parents", o.evolution.parents, result, Range(1, kMany));
  visit("mutation_rate", o.evolution.mutation_rate, result, Range(0.001, 1));
  visit("crossover_rate", o.evolution.crossover.rate, result, Range(0, 1));
  visit("crossover_tries", o.evolution.crossover.tries, result, Range(1, 10000));
  visit("rate_sweep", o.evolution.rates.sweep, result, Range(0, 1000));
  visit("rate_segment", o.evolution.rates.segment, result, Range(0, 1000));
  visit("rate_shift", o.evolution.rates.shift, result, Range(0, 1000));
  visit("rate_scalars", o.evolution.rates.scalars, result, Range(0, 1000));
  visit("rate_uniform", o.evolution.rates.uniform, result, Range(0, 1000));
  visit("rate_blend", o.evolution.rates.blend, result, Range(0, 1000));
  visit("rate_prefix", o.evolution.rates.prefix, result, Range(0, 1000));
  WarmStartOptions& warm = o.evolution.warm_start;
  visit("warm_evaluations", warm.evaluations, result, Range(0, kMany));
  visit("warm_batch", warm.batch, result, Range(4, 10000));
  visit("warm_stall", warm.stall, result, Range(1, kMany));
  visit("warm_start_sweeps", warm.start_sweeps, result, Range(0, 1000));
  visit("warm_members", warm.members, result, Range(0, kMany));
  visit("step_start", warm.steps.start, result, Range(0, 4096));
  visit("step_width", warm.steps.width, result, Range(0, 10));
  visit("step_end_scale", warm.steps.end_scale, result, Range(0, 10));
  visit("step_curvature", warm.steps.curvature, result, Range(0, 10));
  visit("step_attention", warm.steps.attention_factor, result, Range(0, 1));
  visit("seeds", o.seeds, result, OneOf(SeedNames()));
  visit("seed_sweeps", o.evolution.seed_sweeps, result, Range(1, 10000));
  visit("race_confidence", o.race_confidence, result, Range(0.5, 0.999999));
  visit("max_evaluations", o.max_evaluations, KeyRole::kBudget, Range(1, 1e9));
  visit("max_hours", o.max_hours, KeyRole::kBudget, Range(0.0001, 1e6));
  visit("runtime", o.runtime, result, OneOf({std::begin(kRuntimes), std::end(kRuntimes)}));
  visit("start_tokens", o.start_tokens, result, Range(0, kMaxLength));
  visit("bound", o.bound, result, Range(1, 100000));
  visit("attention", o.attention, result,
        Rule{.accepts = IsAttention,
             .allowed = "longrope, yarn, none, search, or a number from 0.1 to 10"});
  DescribeYarn(visit, o);
}

template <class Visitor>
void Describe(Visitor& visit, StageOptions& o) {
  visit("name", o.name, KeyRole::kResult,
        Required({.accepts = IsPlainName, .allowed = "letters, digits, - and _"}));
  visit("kind", o.kind, KeyRole::kResult,
        Required(OneOf({std::begin(kStageKinds), std::end(kStageKinds)})));
  visit("model", o.model, KeyRole::kResult, Rule{});
  if (o.kind == "finetune") {
    DescribeFinetune(visit, o);
  } else if (o.kind == "evaluate") {
    DescribeEvaluate(visit, o);
  } else {
    DescribeSearch(visit, o);
  }
}

}  // namespace longrope
