#include "eval/rope_methods.h"

#include <algorithm>
#include <cmath>
#include <numbers>

#include "eval/errors.h"

namespace longrope {
namespace {

// Pair (a real number) that turns `beta` times within the original length.
double PairOfTurns(double beta, const RopeShape& shape) {
  const double length = static_cast<double>(shape.original_length);
  return shape.head_dim * std::log(length / (2 * std::numbers::pi * beta)) /
         (2 * std::log(shape.base));
}

std::vector<double> YarnLambda(const RopeShape& shape, double ratio, const YarnOptions& yarn) {
  double low = PairOfTurns(yarn.beta_fast, shape), high = PairOfTurns(yarn.beta_slow, shape);
  if (yarn.truncate) {
    low = std::floor(low);
    high = std::ceil(high);
  }
  low = std::max(low, 0.0);
  high = std::min(high, shape.head_dim - 1.0);
  if (low == high) high += 0.001;
  std::vector<double> lambda(static_cast<size_t>(shape.head_dim / 2));
  for (size_t i = 0; i < lambda.size(); ++i) {
    const double kept =
        1 - std::clamp((static_cast<double>(i) - low) / (high - low), 0.0, 1.0);  // r_i
    lambda[i] = 1 / ((1 - kept) / ratio + kept);
  }
  return lambda;
}

std::vector<double> NtkLambda(const RopeShape& shape, double ratio) {
  std::vector<double> lambda(static_cast<size_t>(shape.head_dim / 2));
  for (size_t i = 0; i < lambda.size(); ++i) {
    // A head of one pair has d - 2 = 0: that pair keeps its rotation.
    lambda[i] = i == 0 ? 1 : std::pow(ratio, 2 * static_cast<double>(i) / (shape.head_dim - 2));
  }
  return lambda;
}

}  // namespace

const std::vector<RopeMethod>& AllRopeMethods() {
  static const std::vector<RopeMethod> methods = {RopeMethod::kNone, RopeMethod::kPi,
                                                  RopeMethod::kNtk, RopeMethod::kDynamicNtk,
                                                  RopeMethod::kYarn};
  return methods;
}

std::string_view NameOf(RopeMethod method) {
  switch (method) {
    case RopeMethod::kNone:
      return "none";
    case RopeMethod::kPi:
      return "pi";
    case RopeMethod::kNtk:
      return "ntk";
    case RopeMethod::kDynamicNtk:
      return "dynamic-ntk";
    case RopeMethod::kYarn:
      return "yarn";
  }
  return "";
}

std::vector<std::string> RopeMethodNames() {
  std::vector<std::string> names;
  for (RopeMethod method : AllRopeMethods()) names.emplace_back(NameOf(method));
  return names;
}

RopeMethod RopeMethodNamed(std::string_view name) {
  std::string allowed;
  for (RopeMethod method : AllRopeMethods()) {
    if (NameOf(method) == name) return method;
    allowed += (allowed.empty() ? "" : ", ") + std::string(NameOf(method));
  }
  throw InputError("unknown method '" + std::string(name) + "'; allowed: " + allowed);
}

std::vector<double> MethodLambda(RopeMethod method, const RopeShape& shape, double ratio,
                                 int64_t length, const YarnOptions& yarn) {
  const auto pairs = static_cast<size_t>(shape.head_dim / 2);
  switch (method) {
    case RopeMethod::kNone:
      break;
    case RopeMethod::kPi:
      return std::vector<double>(pairs, ratio);
    case RopeMethod::kNtk:
      return NtkLambda(shape, ratio);
    case RopeMethod::kDynamicNtk: {
      const double original = static_cast<double>(shape.original_length);
      const double current = std::max(static_cast<double>(length), original);
      return NtkLambda(shape, ratio * current / original - (ratio - 1));
    }
    case RopeMethod::kYarn:
      return YarnLambda(shape, ratio, yarn);
  }
  return std::vector<double>(pairs, 1.0);
}

double OwnAttentionFactor(RopeMethod method, double ratio) {
  return method == RopeMethod::kYarn ? AttentionFactor(AttentionPolicy::kYarn, ratio, 0) : 1;
}

RopeFactors MethodFactors(RopeMethod method, const RopeShape& shape, double ratio, int64_t length,
                          const YarnOptions& yarn, std::optional<double> attention_factor) {
  const std::vector<double> lambda = MethodLambda(method, shape, ratio, length, yarn);
  return {{lambda.begin(), lambda.end()},
          0,
          attention_factor.value_or(OwnAttentionFactor(method, ratio))};
}

RopeFactors MethodFactorsAfter(RopeMethod method, const RopeShape& shape,
                               const FactorBucket& before, int64_t length, int64_t current,
                               const YarnOptions& yarn) {
  if (method == RopeMethod::kNone || length <= before.length) return before.factors;
  RopeShape extended = shape;
  extended.original_length = before.length;
  const double ratio = static_cast<double>(length) / static_cast<double>(before.length);
  const auto lambda = MethodLambda(method, extended, ratio, current, yarn);
  RopeFactors factors;
  for (size_t i = 0; i < lambda.size(); ++i) {
    factors.lambda.push_back(static_cast<float>(double{before.factors.lambda[i]} * lambda[i]));
  }
  factors.attention_factor = before.factors.attention_factor * OwnAttentionFactor(method, ratio);
  return factors;
}

double AttentionFactor(AttentionPolicy policy, double ratio, int64_t original_length) {
  if (ratio <= 1 || policy == AttentionPolicy::kNone) return 1;
  if (policy == AttentionPolicy::kYarn) return 0.1 * std::log(ratio) + 1;
  return std::sqrt(1 + std::log(ratio) / std::log(static_cast<double>(original_length)));
}

}  // namespace longrope
