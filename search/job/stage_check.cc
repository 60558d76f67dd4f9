#include "search/job/stage_check.h"

#include <algorithm>

#include "eval/errors.h"
#include "eval/protocols/passkey.h"
#include "search/job/factors_name.h"
#include "search/job/model_options.h"
#include "search/job/stage_documents.h"

namespace longrope {
namespace {

std::string KeyOf(const StageOptions& stage, const char* key) {
  return "stages." + stage.name + "." + key;
}

void CheckMethods(const Job& job, const StageOptions& stage) {
  if (stage.model != kBaseModel) return;  // what it will reach is not known yet
  const ModelConfig config = ModelConfigOf(job.model.path, OverridesOf(job.model));
  for (const std::string& name : stage.finetune.factors) {
    const FactorsName parsed = ParseFactorsName(name, KeyOf(stage, "factors"));
    if (parsed.method) CheckReaches(stage, name, parsed.target, StageModelOf(config));
  }
}

void CheckPasskeys(const Job& job, const StageOptions& stage) {
  if (std::ranges::count(stage.evaluate.protocols, "passkey") == 0) return;
  const ModelConfig config = ModelConfigOf(job.model.path, OverridesOf(job.model));
  const auto tokenizer = OpenTokenizer(job.model.path, config.shape.vocab);
  try {
    constexpr PasskeyDraw kAny = {99999, 0};
    MakePasskeyPrompt(*tokenizer, stage.lengths.front(), kAny);
  } catch (const InputError& too_short) {
    throw InputError(KeyOf(stage, "lengths") + ": " + too_short.what());
  }
}

}  // namespace

void CheckReaches(const StageOptions& stage, const std::string& name, int64_t target,
                  const StageModel& model) {
  const int64_t reached = model.given ? model.given->length : model.shape.original_length;
  if (target > reached) return;
  throw InputError(KeyOf(stage, "factors") + ": '" + name +
                   "'; allowed: a length above what the model reads without, " +
                   std::to_string(reached));
}

void CheckStageAhead(const Job& job, const StageOptions& stage, const Reading& reading) {
  CheckStageTexts(job, stage, reading);
  if (stage.kind == "finetune") {
    RefuseGguf(job.model.path, "a fine-tune");
    CheckMethods(job, stage);
  }
  if (stage.kind == "evaluate") CheckPasskeys(job, stage);
}

}  // namespace longrope
