#include "eval/errors.h"
#include "eval/shown_text.h"
#include "eval/text/tokenizer_json.h"

namespace longrope {
namespace {

void CheckModel(const JsonObject& model) {
  const std::string type = model.Text("type").value_or("BPE");  // old files have none
  if (type != "BPE") model.Refuse("type", Quoted(type) + "; allowed: BPE");
  CheckKeys(model,
            {"type", "dropout", "unk_token", "continuing_subword_prefix", "end_of_word_suffix",
             "fuse_unk", "byte_fallback", "ignore_merges", "vocab", "merges"});
  if (model.Number("dropout").value_or(0) != 0) {
    model.Refuse("dropout", "makes ids random; allowed: null, 0");
  }
  for (const char* key : {"continuing_subword_prefix", "end_of_word_suffix"}) {
    if (!model.Text(key).value_or("").empty()) model.Refuse(key, "not supported; allowed: null");
  }
}

std::unordered_map<std::string, int32_t> ReadIds(const JsonObject& model, int64_t vocab) {
  if (!model.Has("vocab") || !model.Raw("vocab").is_object()) {
    model.Refuse("vocab", "expected an object of tokens and their ids");
  }
  std::unordered_map<std::string, int32_t> ids;
  std::vector<const std::string*> names(static_cast<size_t>(vocab));
  for (auto entry = model.Raw("vocab").begin(); entry != model.Raw("vocab").end(); ++entry) {
    const Json& value = entry.value();
    const bool whole = value.is_number_integer();
    const bool fits = whole && (value.is_number_unsigned()
                                    ? value.get<uint64_t>() < static_cast<uint64_t>(vocab)
                                    : value.get<int64_t>() >= 0 && value.get<int64_t>() < vocab);
    if (!fits) {
      model.Refuse("vocab", Quoted(entry.key()) + " has id " + Quoted(value.dump()) +
                                "; allowed: whole numbers from 0 to " + std::to_string(vocab - 1) +
                                " (vocab_size)");
    }
    const auto id = value.get<int32_t>();
    if (names[id] != nullptr) {
      model.Refuse("vocab", Quoted(entry.key()) + " and " + Quoted(*names[id]) + " both have id " +
                                std::to_string(id));
    }
    names[id] = &entry.key();
    ids.emplace(entry.key(), id);
  }
  return ids;
}

// The two halves of an entry: "a b", or ["a", "b"].
std::pair<std::string, std::string> Halves(const JsonObject& model, const Json& entry, size_t i) {
  if (entry.is_string()) {
    const auto& text = entry.get_ref<const std::string&>();
    const size_t space = text.find(' ');
    if (space != std::string::npos && text.find(' ', space + 1) == std::string::npos) {
      return {text.substr(0, space), text.substr(space + 1)};
    }
  } else if (entry.is_array() && entry.size() == 2 && entry[0].is_string() &&
             entry[1].is_string()) {
    return {entry[0].get<std::string>(), entry[1].get<std::string>()};
  }
  model.Refuse("merges", "entry " + std::to_string(i) +
                             ": expected two tokens, as \"a b\" or as [\"a\", \"b\"]");
}

std::vector<Merge> ReadMerges(const JsonObject& model,
                              const std::unordered_map<std::string, int32_t>& ids) {
  if (!model.Has("merges") || !model.Raw("merges").is_array()) {
    model.Refuse("merges", "expected a list of pairs");
  }
  const Json& list = model.Raw("merges");
  std::vector<Merge> merges;
  merges.reserve(list.size());
  for (size_t i = 0; i < list.size(); ++i) {
    const auto [left, right] = Halves(model, list[i], i);
    const auto find = [&](const std::string& token) {
      const auto found = ids.find(token);
      if (token.empty() || found == ids.end()) {
        model.Refuse("merges",
                     "entry " + std::to_string(i) + ": " + Quoted(token) + " is not in vocab");
      }
      return found->second;
    };
    merges.push_back({find(left), find(right), find(left + right), static_cast<int32_t>(i)});
  }
  return merges;
}

}  // namespace

BpeVocabulary ReadBpeVocabulary(const JsonObject& model, int64_t vocab) {
  CheckModel(model);
  BpeVocabulary result;
  result.ids = ReadIds(model, vocab);
  result.merges = ReadMerges(model, result.ids);
  result.ignore_merges = model.Flag("ignore_merges").value_or(false);
  result.byte_fallback = model.Flag("byte_fallback").value_or(false);
  result.fuse_unk = model.Flag("fuse_unk").value_or(false);
  if (const auto unk = model.Text("unk_token")) {
    const auto found = result.ids.find(*unk);
    if (found == result.ids.end()) {
      model.Refuse("unk_token", Quoted(*unk) + " is not in vocab");
    }
    result.unk = found->second;
  }
  return result;
}

}  // namespace longrope
