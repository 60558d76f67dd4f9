// The closed forms: rescale factors without a search, and the attention factors that go with them.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "eval/factor_set.h"
#include "eval/rope_factors.h"

namespace longrope {

enum class RopeMethod { kNone, kPi, kNtk, kDynamicNtk, kYarn };

// All of them, in the order of tables.
const std::vector<RopeMethod>& AllRopeMethods();

// "none", "pi", "ntk", "dynamic-ntk", "yarn".
std::string_view NameOf(RopeMethod method);
std::vector<std::string> RopeMethodNames();
// Throws InputError that lists the names.
RopeMethod RopeMethodNamed(std::string_view name);

// Ramp of YaRN (arXiv 2309.00071): pairs that turn more than beta_fast times within the original
// length stay, pairs that turn less than beta_slow times are interpolated.
struct YarnOptions {
  double beta_fast = 32, beta_slow = 1;
  bool truncate = true;  // whole pairs as ends of the ramp, as transformers' `truncate`
};

// lambda of a method at ratio s = target / original length, in double, [head_dim / 2]:
//   none 1;  pi s;  ntk s^(2i/(d-2));
//   dynamic-ntk: ntk with s * length / L - (s - 1) in the place of s, length = max(length, L),
//     as transformers' type `dynamic` with factor s;
//   yarn 1 / ((1 - r_i) / s + r_i).
// `length`: tokens of the text at hand (only dynamic-ntk reads it).
std::vector<double> MethodLambda(RopeMethod method, const RopeShape& shape, double ratio,
                                 int64_t length, const YarnOptions& yarn = {});

// What a method itself prescribes: yarn 0.1 ln s + 1 (1 if s <= 1), the others 1.
double OwnAttentionFactor(RopeMethod method, double ratio);

// lambda rounded to float32 and the attention factor given, or the method's own.
RopeFactors MethodFactors(RopeMethod method, const RopeShape& shape, double ratio, int64_t length,
                          const YarnOptions& yarn = {},
                          std::optional<double> attention_factor = std::nullopt);

// A closed form that carries a model with factors of its own further, from the `before.length`
// tokens that they reach to `length`: the two multiplied, lambda and m alike, n-hat 0. `none`
// leaves it as it is, n-hat too; so does every method up to `before.length`. `current`: tokens of
// the text at hand (only dynamic-ntk reads it).
RopeFactors MethodFactorsAfter(RopeMethod method, const RopeShape& shape,
                               const FactorBucket& before, int64_t length, int64_t current,
                               const YarnOptions& yarn = {});

// longrope: sqrt(1 + ln s / ln L), 1 if s <= 1; yarn: 0.1 ln s + 1, 1 if s <= 1; none: 1.
enum class AttentionPolicy { kLongrope, kYarn, kNone };
double AttentionFactor(AttentionPolicy policy, double ratio, int64_t original_length);

}  // namespace longrope
