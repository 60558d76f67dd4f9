// The project's own factor file, JSON: the result of a search, all that a reader needs first.
//
//   lambda, start_tokens (0 if absent), attention_factor (1), attention_policy, original_length,
//   target_length, rope_base, head_dim, buckets (several lengths: [{length, lambda, start_tokens,
//   attention_factor, attention_policy}]; without them lambda holds at every length), and where
//   they come from: model_digest, job_digest, corpus, scores.
#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "eval/factor_set.h"
#include "eval/model/json_file.h"

namespace longrope {

// Factors of one target length and how m was chosen.
struct FileBucket {
  int64_t length = 0;  // tokens
  RopeFactors factors;
  std::string attention_policy;  // longrope | yarn | none | number | search; "" unknown
};

struct FactorFile {
  std::vector<FileBucket> buckets;  // by increasing length, at least one
  // Unknown (0) in files that hold factors alone.
  int64_t original_length = 0;
  double rope_base = 0;
  int head_dim = 0;
  Json provenance = Json::object();  // model_digest, job_digest, corpus, scores, as written

  const FileBucket& Longest() const { return buckets.back(); }
  FactorSet Set() const;
};

// JSON text, keys in the order above, lambda in the shortest form that reads back as the same
// float32.
std::string WriteFactorFile(const FactorFile& file);

// Throws InputError "name: key: ..." for unknown or missing keys and values out of range.
FactorFile ParseFactorFile(std::string_view text, const std::string& name);

// A factor file of any format that is read: the project's JSON, or the released code's CSV (*.csv).
FactorFile ReadFactorFile(const std::filesystem::path& path);

// The buckets of all of them; of equal lengths the later file's. What is said of the model is the
// last one's, provenance by stage is joined. At least one file.
FactorFile Merged(const std::vector<FactorFile>& files);

// Throws InputError, starting with `name`, if the file was made for another head size, base or
// original length than the model's. Values the file does not state are not compared.
void CheckFactorsFit(const FactorFile& file, const std::string& name, const RopeShape& model);

}  // namespace longrope
