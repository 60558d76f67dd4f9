// Options that say under which rotation a model is meant: a factor file, a method, or its own.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "eval/factor_set.h"
#include "eval/model/model_config.h"
#include "eval/rope_methods.h"
#include "search/cli/command.h"

namespace longrope {

struct RotationArguments {
  std::string factors, method;
  int64_t target = 0;  // --target; 0: the length at hand
  YarnOptions yarn;
  double attention_factor = 0;  // 0: the factors' own
};

// --factors, --method, --target, --attention-factor and the ramp of YaRN.
void AddRotationArguments(CLI::App& command, RotationArguments* arguments);

// The rotation by the length of a text.
class Rotations {
 public:
  // Both outlive it. Throws InputError for a factor file that cannot be read or does not fit.
  Rotations(const RotationArguments& arguments, const ModelConfig& config);

  // Do they carry the model beyond what it learned on, so that its sliding window is off?
  bool Extend() const { return !arguments_.factors.empty() || method_ != RopeMethod::kNone; }

  // The factors for texts of `length` tokens.
  RopeFactors For(int64_t length) const;

  // Tokens of the longest texts that the rotation is made for: as its factors say, --target, or the
  // original length where nothing is rescaled; 0 if that is unknown.
  int64_t Longest() const;

  // Says in the log which rotation texts of those lengths get, from where, and whether the model's
  // sliding window is off for it.
  void Announce(std::vector<int64_t> lengths, std::string_view engine) const;

 private:
  // Is it the one of the model's files, and that a rescaled one?
  bool Own() const { return !set_ && arguments_.method.empty() && config_.own_factors.has_value(); }
  RopeFactors MethodFactorsFor(int64_t length) const;

  const RotationArguments& arguments_;
  const ModelConfig& config_;
  std::optional<FactorSet> set_;  // of --factors
  RopeMethod method_ = RopeMethod::kNone;
};

}  // namespace longrope
