// Options that say which model is meant and what computes it.
#pragma once

#include <cstdint>
#include <string>

#include "eval/backend.h"
#include "eval/model/model_source.h"
#include "eval/rope_methods.h"
#include "search/cli/command.h"

namespace longrope {

struct ModelArguments {
  std::string path;      // --model
  int64_t original = 0;  // --original; 0: as the config says
  double rope_base = 0;  // --rope-base; 0: as the config says
  int64_t head_dim = 0;  // --head-dim; 0: as the config says

  ConfigOverrides Overrides() const;
};

void AddModelArguments(CLI::App& command, ModelArguments* arguments, bool required = true);

// Throws InputError for a loss that is not finite: names the weight that is to blame, else `what`
// was scored.
[[noreturn]] void RefuseNonFinite(const ModelArguments& model, const ModelSource& source,
                                  const std::string& what);

// Ramp of YaRN.
void AddYarnArguments(CLI::App& command, YarnOptions* yarn);

struct BackendArguments {
  std::string name = "auto", dtype = "bf16";
  int threads = 0;
  double memory_gb = 0;  // --memory-gb; 0: most of what is free

  // What is not as a user may expect is said in the log.
  BackendOptions Options() const;
};

void AddBackendArguments(CLI::App& command, BackendArguments* arguments);

}  // namespace longrope
