#include "search/cli/rotations.h"

#include <algorithm>

#include "eval/model/model_limits.h"
#include "eval/number_text.h"
#include "search/cli/console.h"
#include "search/cli/model_arguments.h"
#include "search/factors/factor_file.h"

namespace longrope {
namespace {

// Where the rotation comes from.
std::string SourceText(const RotationArguments& arguments, const ModelConfig& config) {
  if (!arguments.factors.empty()) return "factors of " + arguments.factors;
  if (!arguments.method.empty()) return "method " + arguments.method;
  return config.own_factors ? config.own_factors->type + ", as the model's files say"
                            : "plain, as the model's files say";
}

}  // namespace

void AddRotationArguments(CLI::App& command, RotationArguments* arguments) {
  CLI::Option* factors =
      command.add_option("--factors", arguments->factors,
                         "Factor file: JSON of a search, or CSV (which says nothing of m: "
                         "1 unless --attention-factor)");
  CLI::Option* method =
      command
          .add_option("--method", arguments->method,
                      "none (plain), pi, ntk, dynamic-ntk or yarn; without it and --factors the "
                      "rotation is the one of the model's files")
          ->excludes(factors);
  command
      .add_option("--target", arguments->target,
                  "Target length of the method in tokens (default: the length scored)")
      ->needs(method)
      ->check(CLI::Range(int64_t{1}, kMaxLength));
  AddYarnArguments(command, &arguments->yarn);
  command
      .add_option("--attention-factor", arguments->attention_factor,
                  "m, over the file's or the method's own")
      ->check(CLI::Range(0.1, 10.0));
}

Rotations::Rotations(const RotationArguments& arguments, const ModelConfig& config)
    : arguments_(arguments), config_(config) {
  if (!arguments.factors.empty()) {
    const FactorFile file = ReadFactorFile(arguments.factors);
    CheckFactorsFit(file, arguments.factors, config.KnownRope());
    set_ = file.Set();
  }
  if (!arguments.method.empty()) method_ = RopeMethodNamed(arguments.method);
}

RopeFactors Rotations::For(int64_t length) const {
  RopeFactors factors = set_    ? set_->For(length)
                        : Own() ? config_.own_factors->For(length)
                                : MethodFactorsFor(length);
  if (arguments_.attention_factor > 0) factors.attention_factor = arguments_.attention_factor;
  return factors;
}

RopeFactors Rotations::MethodFactorsFor(int64_t length) const {
  if (method_ == RopeMethod::kNone) {  // needs no original length
    return {std::vector<float>(static_cast<size_t>(config_.shape.head_dim / 2), 1.0f), 0, 1};
  }
  const RopeShape shape = config_.Rope();
  const auto target = static_cast<double>(arguments_.target > 0 ? arguments_.target : length);
  const double ratio = std::max(1.0, target / static_cast<double>(shape.original_length));
  return MethodFactors(method_, shape, ratio, length, arguments_.yarn);
}

int64_t Rotations::Longest() const {
  if (set_) return set_->buckets.back().length;
  if (Own()) return config_.own_factors->Longest().length;
  return method_ == RopeMethod::kNone ? config_.original_length.value_or(0) : arguments_.target;
}

void Rotations::Announce(std::vector<int64_t> lengths, std::string_view engine) const {
  std::ranges::sort(lengths);
  lengths.erase(std::unique(lengths.begin(), lengths.end()), lengths.end());
  const int64_t window = config_.shape.sliding_window;
  if (window > 0 && lengths.back() > window && Extend()) {
    LogMessage("the model's sliding window of " + std::to_string(window) +
               " tokens is off: factors are applied beyond it");
  }
  for (size_t i = 0; i < lengths.size(); ++i) {
    const RopeFactors factors = For(lengths[i]);
    // One line for lengths of one rotation.
    if (i + 1 < lengths.size() && For(lengths[i + 1]) == factors) continue;
    LogMessage(
        "rotation: " + SourceText(arguments_, config_) + "; m " +
        NumberText(factors.attention_factor) + ", start tokens " +
        std::to_string(factors.start_tokens) + " at " + std::to_string(lengths[i]) + " tokens" +
        ((set_ || Own()) && lengths[i] > Longest() ? ", beyond what they are made for" : "") +
        "; engine " + std::string(engine));
  }
}

}  // namespace longrope
