// Factors as Hugging Face configs hold them: rope type `longrope`, for LlamaForCausalLM and
// MistralForCausalLM in transformers, vLLM, SGLang and others.
#pragma once

#include <filesystem>
#include <string>
#include <string_view>

#include "eval/storage/file_system.h"
#include "search/factors/factor_file.h"

namespace longrope {

// What runtimes do up to the original length.
enum class ShortFactors {
  kSame,  // the searched factors at every length: every runtime does the same, no stale caches
  kOnes,  // plain rotation up to the original length; runtimes differ in when they switch, and m
          // stays in force (the format has one for both)
};

// The keys to set in config.json: factors of the longest bucket. An n-hat above 0 adds the keys of
// the model file (model_file.h), which alone honours it: set it to 0 to have every position
// rescaled. `family`: the model's, "" if unknown. Throws InputError, starting with `name`, if the
// file does not state its original and target lengths, or if n-hat is above 0 and the family
// unknown.
nlohmann::ordered_json HuggingFaceFragment(const FactorFile& file, const std::string& name,
                                           ShortFactors short_factors, std::string_view family);

// A copy of the model's folder at `out` with the fragment merged into its config.json, and with the
// model file if the fragment names it. Weights are hard links where the file system can, the other
// files copies; what an earlier export added for its n-hat is left out. Read back and compared
// before it gets its name. Throws InputError if `out` exists or cannot be written, and if the model
// brings code of its own where the model file is needed; nothing is left then.
void ExportModelFolder(FileSystem& files, const std::filesystem::path& model,
                       const std::filesystem::path& out, const nlohmann::ordered_json& fragment,
                       const RopeFactors& factors);

}  // namespace longrope
