// The model code that an exported folder brings along for n-hat, which no key of a Hugging Face
// config can say: search/factors/modeling_longrope.py, held by the program.
#pragma once

#include <string>
#include <string_view>

#include "eval/model/json_file.h"

namespace longrope {

inline constexpr const char* kModelFileName = "modeling_longrope.py";

// The file's bytes.
extern const std::string_view kModelFile;

// Is this text a model file of this program, of whatever version? Its first line says so.
bool IsOurModelFile(std::string_view text);

// Sets the keys of config.json by which transformers finds the file's classes for a family ("llama"
// or "mistral"), and n-hat. A runtime that goes by `architectures` refuses a class that it does not
// know, where it would leave n-hat out if the plain one were named.
void NameModelFile(std::string_view family, int64_t start_tokens, nlohmann::ordered_json* config);

// Takes away what NameModelFile, or transformers when it saved such a model, set: n-hat and the
// classes' names in auto_map and architectures, where the plain ones take their place.
void ForgetModelFile(nlohmann::ordered_json* config);

}  // namespace longrope
