#include "eval/model/model_source.h"

#include <algorithm>
#include <cctype>
#include <cstring>

#include "eval/errors.h"
#include "eval/model/gguf_model.h"
#include "eval/model/json_file.h"
#include "eval/model/model_folder.h"
#include "eval/storage/files.h"

namespace longrope {
namespace {

namespace fs = std::filesystem;

// A part of a split file that is not its first: "...-00002-of-00003.gguf".
bool IsLaterPart(const std::string& name) {
  constexpr size_t kSuffix = 20;  // "-00002-of-00003.gguf"
  if (name.size() < kSuffix) return false;
  const std::string suffix = name.substr(name.size() - kSuffix);
  return suffix[0] == '-' && suffix.substr(6, 4) == "-of-" && suffix.substr(1, 5) != "00001" &&
         suffix.find_first_not_of("0123456789", 1) == 6;
}

bool IsNamedGguf(const fs::path& path) {
  return std::ranges::equal(
      path.extension().string(), std::string_view(".gguf"),
      [](char a, char b) { return std::tolower(static_cast<unsigned char>(a)) == b; });
}

bool BeginsAsGguf(const fs::path& path) {
  constexpr std::string_view kMagic = "GGUF";
  const MappedFile file(path);
  return file.bytes().size() >= kMagic.size() &&
         std::memcmp(file.bytes().data(), kMagic.data(), kMagic.size()) == 0;
}

}  // namespace

std::optional<fs::path> GgufFileOf(const fs::path& path) {
  std::error_code ignored;
  if (!fs::is_directory(path, ignored)) {
    if (IsNamedGguf(path)) return path;  // damaged or missing, too: the reader says what it lacks
    if (!fs::is_regular_file(path, ignored)) return std::nullopt;
    if (BeginsAsGguf(path)) return path;
    throw InputError(path.string() + ": is neither a folder nor a GGUF file");
  }
  if (fs::exists(path / "config.json", ignored)) return std::nullopt;
  std::optional<fs::path> found;
  for (const auto& entry : fs::directory_iterator(path, ignored)) {
    if (!IsNamedGguf(entry.path())) continue;
    if (IsLaterPart(entry.path().filename().string())) continue;
    if (found) {
      throw InputError(path.string() +
                       ": holds several GGUF files; allowed: one, or name the file");
    }
    found = entry.path();
  }
  return found;
}

void RefuseGguf(const fs::path& path, const std::string& what) {
  if (!GgufFileOf(path)) return;
  throw InputError(path.string() + ": is a GGUF file; " + what + " needs a Hugging Face folder");
}

std::unique_ptr<ModelSource> OpenModel(const fs::path& path, const ConfigOverrides& overrides) {
  if (const auto file = GgufFileOf(path)) return std::make_unique<GgufModel>(*file, overrides);
  return std::make_unique<ModelFolder>(path, overrides);
}

ModelConfig ModelConfigOf(const fs::path& path, const ConfigOverrides& overrides) {
  if (const auto file = GgufFileOf(path)) return GgufConfig(GgufFile(*file), overrides);
  return ReadModelConfig(path, overrides);
}

std::string DigestText(const ModelConfig& config) {
  const ModelShape& s = config.shape;
  std::string text;
  for (int64_t number : {int64_t{s.layers}, int64_t{s.hidden}, int64_t{s.heads},
                         int64_t{s.kv_heads}, int64_t{s.head_dim}, int64_t{s.ffn}, int64_t{s.vocab},
                         s.sliding_window, int64_t{config.tied_head}}) {
    text += std::to_string(number) + ",";
  }
  text += Json(s.norm_epsilon).dump() + "," + Json(config.rope_base).dump();
  if (config.own_factors) {
    for (const auto& [length, factors] : config.own_factors->set.buckets) {
      text += " " + std::to_string(length) + " " + Json(factors.lambda).dump() + " " +
              std::to_string(factors.start_tokens) + " " + Json(factors.attention_factor).dump();
    }
    if (const auto& dynamic = config.own_factors->dynamic) {
      text += " dynamic " + std::to_string(dynamic->from.original_length) + " " +
              Json(dynamic->factor).dump();
    }
  }
  return text;
}

}  // namespace longrope
