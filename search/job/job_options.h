// What a job can say: every option once, with default, range and advice. job_schema.h maps them to
// keys.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "eval/key_tokens.h"
#include "eval/rope_methods.h"
#include "search/evolution.h"

namespace longrope {

struct ModelOptions {
  std::string path;  // Hugging Face folder, or GGUF file
  // Over what config.json says; a Mistral's original length must be stated (in tokens).
  std::optional<int64_t> original_length;
  std::optional<double> rope_base;
  std::optional<int64_t> head_dim;
};

struct DataOptions {
  std::string path;                 // of texts (eval/text/corpus.h) or ids
  std::string text_field = "text";  // of .jsonl lines
  std::vector<std::string> filter;  // of .jsonl lines (eval/text/json_record.h)
  // The files hold ids, not texts (eval/text/token_files.h): their type, and what stands between
  // the books of a file.
  std::optional<std::string> tokens;
  std::optional<int64_t> separator;
  int64_t min_tokens = 0;  // shorter books are left out
  bool join = false;       // concatenate books until a document is long enough
  // Titles of the books that fitness documents, and held-out ones and evaluations, are drawn from;
  // none: those that no other list names.
  std::vector<std::string> fitness_books, held_out_books;
  // Texts that fine-tunes train on: a place as `path` (unset: that), and titles there (none: those
  // that no other list names).
  std::string train_path;
  std::vector<std::string> train_books;
  // Texts of evaluations, a place as `path`; unset: the held-out books of that.
  std::string evaluate_path;
  // Folder of what was tokenized (eval/text/text_cache.h), or kNoCache; unset: .texts beside the
  // run's folder.
  std::string cache;
  double cache_gb = 10;  // of its files; the oldest go
};

// No cache, as DataOptions::cache.
inline constexpr const char* kNoCache = "none";

struct BackendJobOptions {
  std::string name = "auto";
  int threads = 0;             // 0: all that the machine offers
  std::string dtype = "bf16";  // of weights, states, keys and values on a CUDA device
  std::optional<double>
      memory_gb;  // for one document, weights included; unset: 4/5 of what is free
  // Processes that score instead of an engine of this program (eval/external/worker_team.h, whose
  // WorkerOptions say the defaults); none: those above.
  std::vector<std::string> command = {};
  std::optional<int> workers = {};
  std::optional<double> start_timeout = {}, silence_timeout = {}, task_timeout = {};  // seconds
};

struct OutputOptions {
  std::string folder;  // unset: results/<job name>
};

// Which runtime must be able to express the result. Only `any` may leave start tokens alone:
// neither Hugging Face configs nor the released code's CSV have a place for n-hat.
inline constexpr const char* kRuntimes[] = {"any", "hugging-face", "longrope-csv"};

// Lengths above this take the paper's smaller schedule (section 4.1: 512k and more).
inline constexpr int64_t kLongTarget = 524288;

// Default values of a stage's keys, nothing more. `paper`: Algorithm 1 and its numbers. `frugal`: a
// warm start, curve operators, and m searched, for budgets of some hundred scores.
inline constexpr const char* kPresets[] = {"paper", "frugal"};

// Where in its book a document begins: `first` as in the paper, or at a seeded offset.
inline constexpr const char* kWindows[] = {"first", "random"};

// Whose loss counts. `all`: every token (the paper). `tail`: those beyond the original length.
// `key`: those whose loss a long context lowers (eval/key_tokens.h).
inline constexpr const char* kObjectives[] = {"all", "tail", "key"};

// search: an evolutionary search for one target length. finetune: an external command trains the
// model with factors that were found. readjust: a search for short lengths on an extended model.
// evaluate: perplexity by length and other protocols, of factors on models.
inline constexpr const char* kStageKinds[] = {"search", "finetune", "readjust", "evaluate"};

// Seeds of a readjustment besides the closed forms: no change, the extended factors, three blends.
inline constexpr int kReadjustSeeds = 5;

// The model of the job itself, where a stage names a model.
inline constexpr const char* kBaseModel = "base";

// What kind `finetune` says: a list has an element for each leg, one after the other.
struct FinetuneOptions {
  std::vector<std::string> factors;  // a stage's, or a method's at a length: "yarn@2048"
  std::vector<int64_t> steps;
  // Shell command of a leg, with placeholders (search/finetune/command.h); unset: the run stops
  // where a leg is due, and goes on with a checkpoint that the user puts in place.
  std::string command;

  // Does the command name that placeholder?
  bool Asks(std::string_view placeholder) const {
    return command.find(placeholder) != std::string::npos;
  }
};

// How kind `evaluate` scores a row at a length.
inline constexpr const char* kProtocols[] = {"perplexity", "sliding", "passkey", "start-tokens"};

// What kind `evaluate` says.
struct EvaluateOptions {
  // Factors, with a model before a colon: "extend-2k", "tune:extend-16k", "base:yarn".
  std::vector<std::string> rows;
  std::vector<std::string> protocols = {kProtocols[0]};
  std::string reference;                  // row that others are compared with; unset: the first
  int64_t stride = 256;                   // of sliding windows, whose size is the length at hand
  std::optional<int64_t> sliding_tokens;  // of the documents they slide over; unset: longest length
  int tries = 10;                         // of passkeys, at each length
  double confidence = 0.95;               // of intervals over documents
  int resamples = 10000;                  // of their bootstrap
};

// One stage.
struct StageOptions {
  std::string name;  // letters, digits, - and _; names the stage's random streams
  std::string kind;  // one of kStageKinds
  std::string preset = kPresets[0];
  // The model it works on: the name of a finetune stage, or "base". Unset in a job file: the last
  // finetune stage before it, else base.
  std::string model;
  std::string extends;           // readjust: the search stage whose factors it complements
  int64_t length = 0;            // target, in tokens, of every document
  std::vector<int64_t> lengths;  // readjust: targets; finetune: tokens of a leg's sequences (unset:
                                 // its factors' target); evaluate: tokens that are read
  int documents = 5;             // that make the fitness; 3 above kLongTarget
  int held_out = 5;  // other documents, scored for the baselines and the winner; 3 likewise
  std::string window = kWindows[0];
  std::string objective = kObjectives[0];
  // Which model tells key tokens: a Hugging Face folder of the same tokenizer (unset: the job's
  // model), and its rotation over the whole length if its config has no factors.
  std::string key_model, key_method = "yarn";
  KeyTokenRule key_rule;
  EvolutionOptions evolution;              // above kLongTarget 32 / 8 / 8, 16 parents
  std::optional<double> race_confidence;   // of RaceOptions
  std::optional<int64_t> max_evaluations;  // budget over all generations, counted in scores
  std::optional<double> max_hours;         // budget, ends at a generation; not reproducible
  std::vector<std::string> seeds = {"pi", "ntk", "yarn"};
  std::string runtime = "any";
  std::vector<int64_t> start_tokens = {0, 1, 2, 4, 8, 12, 16, 20, 24, 28, 32, 64, 128, 256};
  std::optional<double> bound;         // largest lambda; unset: 1.25 times the ratio
  std::string attention = "longrope";  // m: a policy, "search", or a number
  YarnOptions yarn;                    // of the YaRN seed and baseline
  FinetuneOptions finetune;
  EvaluateOptions evaluate;

  bool Searches() const { return kind == "search" || kind == "readjust"; }
};

// Defaults of a stage of `length` tokens.
StageOptions DefaultStage(int64_t length, const std::string& preset = kPresets[0],
                          const std::string& kind = kStageKinds[0]);

struct Job {
  std::string name;  // unset: the job file's
  int64_t seed = 0;
  ModelOptions model;
  DataOptions data;
  BackendJobOptions backend;
  OutputOptions output;
  std::vector<StageOptions> stages;
};

}  // namespace longrope
