#include "search/job/key_token_reference.h"

#include <algorithm>

#include "eval/errors.h"
#include "eval/number_text.h"
#include "eval/rope_methods.h"
#include "search/job/model_options.h"

namespace longrope {
namespace {

const std::string& PathOf(const Job& job, const StageOptions& stage) {
  return stage.key_model.empty() ? job.model.path : stage.key_model;
}

// What the job says of its own model does not hold for another one.
ConfigOverrides OverridesFor(const Job& job, const StageOptions& stage) {
  return stage.key_model.empty() ? OverridesOf(job.model) : ConfigOverrides{};
}

std::unique_ptr<ModelSource> OpenReference(const Job& job, const StageOptions& stage) {
  try {
    return OpenModel(PathOf(job, stage), OverridesFor(job, stage));
  } catch (const InputError& error) {
    if (stage.key_model.empty()) throw;
    throw InputError("stages." + stage.name + ".key_model: " + error.what());
  }
}

std::string TextOf(const ModelSource& source, const StageOptions& stage) {
  return "model " + source.Digest() + ", " +
         (source.config().own_factors ? "factors of its config" : stage.key_method) +
         ", key_gain " + NumberText(stage.key_rule.gain) + ", key_floor " +
         NumberText(stage.key_rule.floor);
}

}  // namespace

KeyTokenReference::KeyTokenReference(const Engine& engine, const Job& job,
                                     const StageOptions& stage, const Tokenizer& tokenizer,
                                     int64_t window)
    : engine_(engine),
      job_(job),
      stage_(stage),
      source_(OpenReference(job, stage)),
      window_(window),
      text_(TextOf(*source_, stage)) {
  const auto own = OpenTokenizer(PathOf(job, stage), source_->config().shape.vocab);
  if (own->Digest() != tokenizer.Digest()) {
    throw InputError("stages." + stage.name + ".key_model: " + PathOf(job, stage) +
                     " has another tokenizer than the model");
  }
}

RopeFactors KeyTokenReference::FactorsFor(int64_t length) const {
  const ModelConfig& config = source_->config();
  if (config.own_factors) return config.own_factors->For(length);
  const RopeShape shape = config.Rope();
  const double ratio = static_cast<double>(length) / static_cast<double>(shape.original_length);
  const RopeMethod method = ratio > 1 ? RopeMethodNamed(stage_.key_method) : RopeMethod::kNone;
  return MethodFactors(method, shape, std::max(1.0, ratio), length, stage_.yarn);
}

std::optional<std::vector<uint8_t>> KeyTokenReference::Mark(std::span<const int32_t> tokens,
                                                            std::span<const int32_t> prefix,
                                                            std::stop_token stop) {
  if (!scorer_) {
    const bool sliding = source_->config().shape.sliding_window >= stage_.length;
    scorer_ = std::make_unique<Scorer>(engine_, *source_, ScorerOptionsOf(job_, stage_, sliding));
  }
  const auto nats_of = [&](int64_t length) -> NatsOf {
    return [this, stop, factors = FactorsFor(length)](std::span<const int32_t> text) {
      return scorer_->TokenNats(text, factors, stop);
    };
  };
  return KeyTokens(tokens, prefix, window_, stage_.key_rule,
                   nats_of(static_cast<int64_t>(tokens.size())), nats_of(window_));
}

}  // namespace longrope
