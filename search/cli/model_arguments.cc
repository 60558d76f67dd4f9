#include "search/cli/model_arguments.h"

#include "eval/errors.h"
#include "eval/model/model_limits.h"
#include "search/cli/console.h"

namespace longrope {

ConfigOverrides ModelArguments::Overrides() const {
  ConfigOverrides overrides;
  if (original > 0) overrides.original_length = original;
  if (rope_base > 0) overrides.rope_base = rope_base;
  if (head_dim > 0) overrides.head_dim = head_dim;
  return overrides;
}

void AddModelArguments(CLI::App& command, ModelArguments* arguments, bool required) {
  command
      .add_option("--model", arguments->path,
                  "Hugging Face folder (LLaMA or Mistral), or GGUF file")
      ->required(required);
  command
      .add_option(
          "--original", arguments->original,
          "Original length in tokens, over what the model's files say; a Mistral's must be given")
      ->check(CLI::Range(kMinLength, kMaxLength));
  command
      .add_option("--rope-base", arguments->rope_base,
                  "Base of the rotation, over what the model's files say")
      ->check(CLI::Range(1.001, 1e12));
  command
      .add_option("--head-dim", arguments->head_dim, "Head size, over what the model's files say")
      ->check(CLI::Range(kMinHeadDim, kMaxHeadDim));
}

void RefuseNonFinite(const ModelArguments& model, const ModelSource& source,
                     const std::string& what) {
  const std::string weight = source.FindNonFinite();
  throw InputError(weight.empty() ? what + ": the loss is not finite, though every weight is"
                                  : model.path + ": " + weight + " is not finite");
}

void AddYarnArguments(CLI::App& command, YarnOptions* yarn) {
  const auto turns = CLI::Range(0.001, 1e6);
  command.add_option("--yarn-beta-fast", yarn->beta_fast, "Ramp of YaRN (default 32)")
      ->check(turns);
  command.add_option("--yarn-beta-slow", yarn->beta_slow, "Ramp of YaRN (default 1)")->check(turns);
  command.add_flag("!--yarn-no-truncate", yarn->truncate,
                   "Ends of YaRN's ramp between pairs, as transformers' truncate: false");
}

BackendOptions BackendArguments::Options() const {
  return {name, threads, dtype, static_cast<int64_t>(memory_gb * 1e9), LogMessage};
}

void AddBackendArguments(CLI::App& command, BackendArguments* arguments) {
  command.add_option(
      "--backend", arguments->name,
      "Engine: auto (default: a CUDA device, else the CPU), cuda, reference (the CPU)");
  command.add_option("--dtype", arguments->dtype,
                     "Of weights and states on a CUDA device: bf16 (default), f16, f32");
  command.add_option("--threads", arguments->threads, "0: all that the machine offers")
      ->check(CLI::Range(0, 1024));
  command
      .add_option("--memory-gb", arguments->memory_gb,
                  "Memory that one document may take, weights included")
      ->check(CLI::Range(0.001, 1e6));
}

}  // namespace longrope
