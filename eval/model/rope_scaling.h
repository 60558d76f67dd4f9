// How a model's own files rescale its rotation, as transformers' modeling_rope_utils has it.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "eval/factor_set.h"
#include "eval/model/json_file.h"
#include "eval/rope_factors.h"
#include "eval/rope_methods.h"

namespace longrope {

// This program's own key of config.json: n-hat of the `longrope` factors there.
inline constexpr const char* kStartTokensKey = "longrope_start_tokens";

// A rotation that is rescaled already.
struct OwnFactors {
  std::string type;  // of rope_scaling or of GGUF's keys, for messages: "llama3, factor 8"
  // The last bucket's length is what the model reaches as its files state it, in tokens.
  FactorSet set;
  // Type `dynamic`: the base follows the text's length beyond `from`, and `set` only shows where it
  // begins and where it reaches.
  struct Dynamic {
    RopeShape from;
    double factor = 1;

    bool operator==(const Dynamic&) const = default;
  };
  std::optional<Dynamic> dynamic = {};

  // For texts of that many tokens.
  RopeFactors For(int64_t tokens) const;
  const FactorBucket& Longest() const { return set.buckets.back(); }
  // "llama3, factor 8: lambda 1 to 8, m 1, for up to 131072 tokens", of the longest.
  std::string Text() const;

  bool operator==(const OwnFactors&) const = default;
};

// linear: every lambda is `factor`.
OwnFactors LinearFactors(const RopeShape& shape, double factor, int64_t reach);
// yarn counts from the shape's original length; m is 0.1 ln factor + 1 unless given.
OwnFactors YarnFactors(const RopeShape& shape, double factor, const YarnOptions& yarn,
                       std::optional<double> attention_factor, int64_t reach);

// llama3: lambda of pairs whose wave is longer than original / low is `factor`, shorter than
// original / high 1, and 1 / ((1 - t) / factor + t) between, t = (original / wave - low) /
// (high - low). wave = 2 pi base^(2i/d), in tokens.
struct Llama3Scaling {
  double factor = 8, low = 1, high = 4;
};
OwnFactors Llama3Factors(const RopeShape& shape, const Llama3Scaling& scaling, int64_t reach);

// rope_scaling of config.json (transformers 4) or rope_parameters (5); the first is preferred where
// there are both, as transformers does.
class RopeScaling {
 public:
  // Throws InputError for a block that is none, or that rotates layers or parts of heads apart.
  // `config` outlives it.
  explicit RopeScaling(const JsonObject& config);

  // "default" where there is none.
  const std::string& type() const { return type_; }
  // The base of the rotation, from whichever place states it; 10000 where none does.
  double Base() const;
  // original_max_position_embeddings, of the config before the block's own.
  std::optional<int64_t> StatedOriginal() const;
  // max_position_embeddings.
  std::optional<int64_t> Longest() const;
  // What the block asks for; nullopt for type "default". `original`: the job's word for the length
  // that the model learned on, over the config's. Throws InputError for a type that is not known,
  // by name, and for values that are missing or out of range.
  std::optional<OwnFactors> Read(int head_dim, double base, std::optional<int64_t> original) const;

 private:
  std::optional<int64_t> CountedFrom() const;
  double Factor() const;
  std::optional<double> AttentionFactor() const;
  std::vector<float> Factors(const std::string& key, int head_dim) const;
  OwnFactors ReadYarn(const RopeShape& shape, int64_t longest) const;
  OwnFactors ReadLlama3(const RopeShape& shape, int64_t longest) const;
  OwnFactors ReadLongrope(const RopeShape& shape, int64_t longest) const;

  const JsonObject& config_;
  std::optional<JsonObject> block_;
  std::string type_ = "default";
};

}  // namespace longrope
