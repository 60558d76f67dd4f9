#include "search/job/key_token_reference.h"

#include <algorithm>

#include "eval/errors.h"
#include "eval/rope_methods.h"
#include "search/job/model_options.h"
#include "search/number_text.h"

namespace longrope {
namespace {

const std::string& PathOf(const Job& job, const StageOptions& stage) {
  return stage.key_model.empty() ? job.model.path : stage.key_model;
}

// What the job says of its own model does not hold for another one, but for the original length:
// it is the short context of both.
ConfigOverrides OverridesFor(const Job& job, const StageOptions& stage) {
  if (stage.key_model.empty()) return OverridesOf(job.model);
  return {job.model.original_length, {}, {}};
}

}  // namespace

KeyTokenReference::KeyTokenReference(const Engine& engine, const Job& job,
                                     const StageOptions& stage, const Tokenizer& tokenizer)
    : stage_(stage),
      folder_(PathOf(job, stage), OverridesFor(job, stage)),
      scorer_(engine, folder_,
              ScorerOptionsOf(job, stage, folder_.config().shape.sliding_window >= stage.length)),
      window_(folder_.config().OriginalLength()) {
  const auto own = OpenTokenizer(PathOf(job, stage), folder_.config().shape.vocab);
  if (own->Digest() != tokenizer.Digest()) {
    throw InputError("stages." + stage.name + ".key_model: " + PathOf(job, stage) +
                     " has another tokenizer than the model");
  }
}

RopeFactors KeyTokenReference::FactorsFor(int64_t length) const {
  const ModelConfig& config = folder_.config();
  if (config.own_factors) return config.own_factors->For(length);
  const RopeShape shape = config.Rope();
  const double ratio = std::max(1.0, static_cast<double>(length) / static_cast<double>(window_));
  const RopeMethod method =
      length > window_ ? RopeMethodNamed(stage_.key_method) : RopeMethod::kNone;
  return MethodFactors(method, shape, ratio, length, stage_.yarn);
}

std::optional<std::vector<uint8_t>> KeyTokenReference::Mark(std::span<const int32_t> tokens,
                                                            std::span<const int32_t> prefix,
                                                            std::stop_token stop) const {
  const auto nats_of = [&](int64_t length) -> NatsOf {
    return [this, stop, factors = FactorsFor(length)](std::span<const int32_t> text) {
      return scorer_.TokenNats(text, factors, stop);
    };
  };
  return KeyTokens(tokens, prefix, window_, stage_.key_rule,
                   nats_of(static_cast<int64_t>(tokens.size())), nats_of(window_));
}

std::string KeyTokenReference::Text() const {
  const std::string model = stage_.key_model.empty() ? "the model" : stage_.key_model;
  return model + " with " +
         (folder_.config().own_factors ? "the factors of its config" : stage_.key_method) +
         ", key_gain " + NumberText(stage_.key_rule.gain) + ", key_floor " +
         NumberText(stage_.key_rule.floor);
}

}  // namespace longrope
