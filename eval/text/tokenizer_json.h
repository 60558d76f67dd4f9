// tokenizer.json, the file of the `tokenizers` library.
#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "eval/model/json_file.h"
#include "eval/text/bpe_tokenizer.h"

namespace longrope {

// What is put before a text where tokenizer_config.json says it: `add_bos_token`, if it is there,
// overrules the template of tokenizer.json, as in transformers.
struct BosChoice {
  std::optional<bool> add;
  std::optional<std::string> token;  // `bos_token`
};

// A byte-pair tokenizer.json (at most 64 MB), checked: normalizers Prepend, Replace (of a text),
// NFC, NFD, NFKC, NFKD; pre-tokenizers ByteLevel, Split, Digits, Metaspace; post-processors
// ByteLevel and TemplateProcessing, of which only what stands before the text is used (EOS is never
// added); each also in a Sequence. Throws InputError with file and key for anything else and for
// ids that are not below `vocab`.
BpeDescription ReadTokenizerJson(const std::filesystem::path& path, const BosChoice& bos,
                                 int64_t vocab);

// Parts of it. `name` says in errors where the part stands.
std::vector<NormalizerStep> ReadNormalizer(const Json& json, const std::string& name);
// Sets *byte_level where the words are to be read as bytes.
std::vector<PreTokenizerStep> ReadPreTokenizer(const Json& json, const std::string& name,
                                               bool* byte_level);
BpeVocabulary ReadBpeVocabulary(const JsonObject& model, int64_t vocab);
// Refuses keys that are not among `known`: they might change ids.
void CheckKeys(const JsonObject& object, std::initializer_list<const char*> known);

}  // namespace longrope
