#include "eval/text/tokenizer.h"

#include "eval/errors.h"
#include "eval/model/gguf_file.h"
#include "eval/model/model_source.h"
#include "eval/text/gguf_tokenizer.h"
#include "eval/text/sentence_piece.h"
#include "eval/text/tokenizer_json.h"

namespace longrope {
namespace {

namespace fs = std::filesystem;

BosChoice ReadBosChoice(const fs::path& config) {
  BosChoice bos;
  if (!fs::exists(config)) return bos;
  const JsonObject object = ReadJsonObject(config);
  bos.add = object.Flag("add_bos_token");
  // A text, or an object that holds it.
  if (object.Has("bos_token")) {
    bos.token = object.Raw("bos_token").is_object() ? object.Object("bos_token").Text("content")
                                                    : object.Text("bos_token");
  }
  return bos;
}

}  // namespace

bool HasTokenizer(const fs::path& model) {
  return GgufFileOf(model) || fs::exists(model / "tokenizer.model") ||
         fs::exists(model / "tokenizer.json");
}

std::unique_ptr<Tokenizer> OpenTokenizer(const fs::path& folder, int64_t vocab) {
  if (const auto gguf = GgufFileOf(folder)) {
    return MakeBpeTokenizer(ReadGgufTokenizer(GgufFile(*gguf).values(), vocab));
  }
  const BosChoice bos = ReadBosChoice(folder / "tokenizer_config.json");
  const fs::path model = folder / "tokenizer.model";
  if (fs::exists(model)) return OpenSentencePiece(model, bos.add.value_or(true), vocab);
  const fs::path json = folder / "tokenizer.json";
  if (fs::exists(json)) return MakeBpeTokenizer(ReadTokenizerJson(json, bos, vocab));
  throw InputError(model.string() + ": is missing, and so is tokenizer.json (one is needed)");
}

}  // namespace longrope
