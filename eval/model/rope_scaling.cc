#include "eval/model/rope_scaling.h"

#include <algorithm>
#include <cmath>
#include <numbers>

#include "eval/errors.h"
#include "eval/model/model_limits.h"
#include "eval/number_text.h"

namespace longrope {
namespace {

constexpr const char* kOriginalKey = "original_max_position_embeddings";
constexpr const char* kTypes = "default, linear, dynamic, yarn, llama3, longrope";

std::string FactorText(const char* type, double factor) {
  return std::string(type) + ", factor " + NumberText(factor);
}

int64_t Times(int64_t length, double factor) {
  return static_cast<int64_t>(std::min(static_cast<double>(length) * factor, double{kMaxLength}));
}

void RefusePartialRotation(const JsonObject& block) {
  if (block.Number("partial_rotary_factor").value_or(1) != 1) {
    block.Refuse("partial_rotary_factor", "partial rotations are not supported");
  }
}

OwnFactors DynamicFactors(const RopeShape& shape, double factor, int64_t longest) {
  OwnFactors own{FactorText("dynamic", factor), {}, OwnFactors::Dynamic{shape, factor}};
  const int64_t from = shape.original_length, reach = std::max(longest, Times(from, factor));
  own.set.buckets.push_back({from, own.For(from)});
  if (reach > from) own.set.buckets.push_back({reach, own.For(reach)});
  return own;
}

}  // namespace

RopeFactors OwnFactors::For(int64_t tokens) const {
  if (!dynamic) return set.For(tokens);
  return MethodFactors(RopeMethod::kDynamicNtk, dynamic->from, dynamic->factor, tokens);
}

std::string OwnFactors::Text() const {
  const RopeFactors& factors = Longest().factors;
  const auto [low, high] = std::ranges::minmax(factors.lambda);
  return type + ": lambda " + FloatText(low) + " to " + FloatText(high) + ", m " +
         NumberText(factors.attention_factor) +
         (factors.start_tokens > 0 ? ", start tokens " + std::to_string(factors.start_tokens)
                                   : "") +
         ", for up to " + std::to_string(Longest().length) + " tokens";
}

OwnFactors LinearFactors(const RopeShape& shape, double factor, int64_t reach) {
  return {FactorText("linear", factor),
          {{{reach, MethodFactors(RopeMethod::kPi, shape, factor, reach)}}}};
}

OwnFactors YarnFactors(const RopeShape& shape, double factor, const YarnOptions& yarn,
                       std::optional<double> attention_factor, int64_t reach) {
  return {
      FactorText("yarn", factor),
      {{{reach, MethodFactors(RopeMethod::kYarn, shape, factor, reach, yarn, attention_factor)}}}};
}

OwnFactors Llama3Factors(const RopeShape& shape, const Llama3Scaling& scaling, int64_t reach) {
  const auto original = static_cast<double>(shape.original_length);
  RopeFactors factors;
  for (int i = 0; i < shape.head_dim / 2; ++i) {
    const double wave = 2 * std::numbers::pi * std::pow(shape.base, 2.0 * i / shape.head_dim);
    const double kept =
        std::clamp((original / wave - scaling.low) / (scaling.high - scaling.low), 0.0, 1.0);
    factors.lambda.push_back(static_cast<float>(1 / ((1 - kept) / scaling.factor + kept)));
  }
  return {FactorText("llama3", scaling.factor), {{{reach, std::move(factors)}}}};
}

RopeScaling::RopeScaling(const JsonObject& config) : config_(config) {
  RefusePartialRotation(config);
  for (const char* key : {"rope_scaling", "rope_parameters"}) {
    if (!config.Has(key)) continue;
    const JsonObject block = config.Object(key);
    RefusePartialRotation(block);
    for (const std::string& member : block.Keys()) {
      if (block.Raw(member).is_object()) {
        block.Refuse(member, "a rotation for some of the layers is not supported");
      }
    }
    if (!block_) block_ = block;
  }
  if (!block_) return;
  auto named = block_->Text("rope_type");
  if (!named) named = block_->Text("type");
  // What scales has a factor, or two; a block of other keys may leave its type out.
  for (const char* key : {"factor", "short_factor", "long_factor"}) {
    if (!named && block_->Has(key)) {
      block_->Refuse("rope_type", "missing; allowed: " + std::string(kTypes));
    }
  }
  type_ = named.value_or("default");
}

double RopeScaling::Base() const {
  std::optional<double> base = config_.Number("rope_theta");
  for (const char* key : {"rope_parameters", "rope_scaling"}) {
    if (!config_.Has(key)) continue;
    const auto inner = config_.Object(key).Number("rope_theta");
    if (base && inner && *base != *inner) {
      config_.Refuse("rope_theta", std::string("differs from ") + key + ".rope_theta");
    }
    if (!base) base = inner;
  }
  const double value = base.value_or(10000);
  if (value <= 1) config_.Refuse("rope_theta", "must be above 1");
  return value;
}

std::optional<int64_t> RopeScaling::StatedOriginal() const {
  if (const auto top = config_.Integer(kOriginalKey, kMinLength, kMaxLength)) return top;
  return block_ ? block_->Integer(kOriginalKey, kMinLength, kMaxLength) : std::nullopt;
}

std::optional<int64_t> RopeScaling::Longest() const {
  return config_.Integer("max_position_embeddings", kMinLength, kMaxLength);
}

// The length that a type counts from, as transformers finds it: of a Mistral, too, whatever that
// learned on.
std::optional<int64_t> RopeScaling::CountedFrom() const {
  if (type_ == "longrope") return StatedOriginal();  // its longest length is the extended one
  if (type_ == "yarn" || type_ == "llama3") {
    if (const auto stated = StatedOriginal()) return stated;
  }
  return Longest();
}

double RopeScaling::Factor() const {
  const auto factor = block_->Number("factor");
  if (!factor) block_->Refuse("factor", "missing");
  if (!(*factor >= 1 && *factor <= 1e6)) block_->Refuse("factor", "allowed: 1 to 1e6");
  return *factor;
}

std::optional<double> RopeScaling::AttentionFactor() const {
  const auto m = block_->Number("attention_factor");
  if (m && !(*m > 0 && *m < 1e6)) block_->Refuse("attention_factor", "must be above 0");
  return m;
}

std::vector<float> RopeScaling::Factors(const std::string& key, int head_dim) const {
  const auto numbers = block_->Numbers(key);
  if (!numbers) block_->Refuse(key, "missing");
  if (static_cast<int>(numbers->size()) != head_dim / 2) {
    block_->Refuse(key, "has " + std::to_string(numbers->size()) + " elements, expected " +
                            std::to_string(head_dim / 2));
  }
  if (!std::ranges::all_of(*numbers, IsFactor)) {
    block_->Refuse(key, "factors must be above 0, and fit into float32");
  }
  return {numbers->begin(), numbers->end()};
}

OwnFactors RopeScaling::ReadYarn(const RopeShape& shape, int64_t longest) const {
  const auto from = static_cast<double>(shape.original_length);
  const double stretched = static_cast<double>(longest) / from;
  const double factor = block_->Has("factor") || stretched <= 1 ? Factor() : stretched;
  YarnOptions yarn;
  const auto turns = [&](const char* key, double* value) {
    const double stated = block_->Number(key).value_or(0);
    if (!(stated >= 0 && stated <= 1e6)) block_->Refuse(key, "allowed: 0 (the default) to 1e6");
    if (stated > 0) *value = stated;
  };
  turns("beta_fast", &yarn.beta_fast);
  turns("beta_slow", &yarn.beta_slow);
  yarn.truncate = block_->Flag("truncate").value_or(true);
  std::optional<double> m = AttentionFactor();
  const double mscale = block_->Number("mscale").value_or(0);
  const double mscale_all = block_->Number("mscale_all_dim").value_or(0);
  if (!m && mscale != 0 && mscale_all != 0) {
    const auto scaled = [&](double by) {
      return factor <= 1 ? 1 : 0.1 * by * std::log(factor) + 1;
    };
    m = scaled(mscale) / scaled(mscale_all);
    if (!(*m > 0 && *m < 1e6)) block_->Refuse("mscale", "gives an attention factor of 0 or less");
  }
  return YarnFactors(shape, factor, yarn, m,
                     std::max(longest, Times(shape.original_length, factor)));
}

OwnFactors RopeScaling::ReadLlama3(const RopeShape& shape, int64_t longest) const {
  Llama3Scaling scaling{Factor()};
  for (const auto& [key, value] :
       {std::pair("low_freq_factor", &scaling.low), std::pair("high_freq_factor", &scaling.high)}) {
    const auto stated = block_->Number(key);
    if (!stated) block_->Refuse(key, "missing");
    if (!(*stated > 0 && *stated <= 1e6)) block_->Refuse(key, "allowed: above 0, up to 1e6");
    *value = *stated;
  }
  if (scaling.low >= scaling.high) {
    block_->Refuse("high_freq_factor", "allowed: above low_freq_factor");
  }
  // LLaMA 3.2 states a factor that goes beyond what it is made for.
  const int64_t reach =
      longest > shape.original_length ? longest : Times(shape.original_length, scaling.factor);
  return Llama3Factors(shape, scaling, reach);
}

OwnFactors RopeScaling::ReadLongrope(const RopeShape& shape, int64_t longest) const {
  const int64_t original = shape.original_length;
  const double ratio = block_->Number("factor").value_or(static_cast<double>(longest) /
                                                         static_cast<double>(original));
  const double m = AttentionFactor().value_or(
      longrope::AttentionFactor(AttentionPolicy::kLongrope, ratio, original));
  const int64_t start = config_.Integer(kStartTokensKey, 0, kMaxLength).value_or(0);
  return {type_,
          {{{original, {Factors("short_factor", shape.head_dim), start, m}},
            {longest, {Factors("long_factor", shape.head_dim), start, m}}}}};
}

std::optional<OwnFactors> RopeScaling::Read(int head_dim, double base,
                                            std::optional<int64_t> original) const {
  if (config_.Integer(kStartTokensKey, 0, kMaxLength).value_or(0) > 0 && type_ != "longrope") {
    config_.Refuse(kStartTokensKey, "is for factors of rope type longrope, which are missing");
  }
  if (type_ == "default") return std::nullopt;
  if (!original) original = CountedFrom();
  if (!original) {
    config_.Refuse(type_ == "longrope" ? kOriginalKey : "max_position_embeddings",
                   "missing, and " + type_ +
                       " scaling counts from the model's original length; state it, or set "
                       "model.original_length in the job, or --original");
  }
  const RopeShape shape{head_dim, base, *original};
  const int64_t longest = std::max(Longest().value_or(*original), *original);
  if (type_ == "linear") {
    return LinearFactors(shape, Factor(), std::max(longest, Times(*original, Factor())));
  }
  if (type_ == "dynamic") return DynamicFactors(shape, Factor(), longest);
  if (type_ == "yarn") return ReadYarn(shape, longest);
  if (type_ == "llama3") return ReadLlama3(shape, longest);
  if (type_ == "longrope") return ReadLongrope(shape, longest);
  block_->Refuse("rope_type",
                 "scaling '" + type_ + "' is not supported; allowed: " + std::string(kTypes));
}

}  // namespace longrope
