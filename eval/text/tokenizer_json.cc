#include "eval/text/tokenizer_json.h"

#include <algorithm>
#include <functional>
#include <map>
#include <set>

#include "eval/errors.h"
#include "eval/shown_text.h"
#include "eval/storage/digest.h"
#include "eval/storage/files.h"

namespace longrope {
namespace {

constexpr size_t kMaxFileBytes = 64 << 20;

using Ids = std::unordered_map<std::string, int32_t>;

// Refuses a file while it is parsed, before what cannot be a tokenizer of the model takes memory.
class Watch {
 public:
  Watch(std::string name, int64_t vocab) : name_(std::move(name)), vocab_(vocab) {}

  void See(int depth, Json::parse_event_t event, const Json& parsed) {
    using Event = Json::parse_event_t;
    if (event == Event::object_end || event == Event::array_end) return;
    if (depth == 0 && event != Event::object_start) {
      throw InputError(name_ + ": expected a JSON object");
    }
    if (event == Event::key) return SeeKey(depth, parsed.get_ref<const std::string&>());
    if (depth < 3 || part_ != "model") return Count(&others_, kMaxOthers, "values");
    if (inner_ == "merges") {
      // A merge is a text or a pair of them.
      if (depth == 3) return Count(&merges_, MostMerges(), "merges");
      return Count(&halves_, 2 * MostMerges(), "halves of merges");
    }
    if (inner_ != "vocab" || depth > 3) Count(&others_, kMaxOthers, "values");
  }

 private:
  static constexpr int64_t kMaxOthers = 1 << 18;  // values beside vocabulary and merges

  int64_t MostMerges() const { return std::min<int64_t>(longrope::MostMerges(vocab_), 1 << 21); }

  void SeeKey(int depth, const std::string& key) {
    if (depth == 1) {
      constexpr const char* kKnown[] = {"version",        "truncation", "padding",
                                        "added_tokens",   "normalizer", "pre_tokenizer",
                                        "post_processor", "decoder",    "model"};
      if (std::find(std::begin(kKnown), std::end(kKnown), key) == std::end(kKnown)) {
        throw InputError(name_ + ": " + Shown(key) + ": unknown key");
      }
      part_ = key;
    }
    if (depth == 2) inner_ = key;
    if (depth == 3 && part_ == "model" && inner_ == "vocab") {
      Count(&tokens_, vocab_, "tokens (vocab_size)");
    }
  }
  void Count(int64_t* count, int64_t most, const char* what) const {
    if (++*count <= most) return;
    throw InputError(name_ + ": too large: allowed are " + std::to_string(most) + " " + what);
  }

  std::string name_;
  int64_t vocab_;
  std::string part_, inner_;  // the keys around
  int64_t tokens_ = 0, merges_ = 0, halves_ = 0, others_ = 0;
};

class Reader {
 public:
  Reader(Json root, std::string name, int64_t vocab)
      : root_(std::move(root)), name_(std::move(name)), vocab_(vocab) {}

  BpeDescription Run() {
    result_.normalizer = ReadNormalizer(Part("normalizer"), name_ + ": normalizer");
    bool byte_level = false;
    result_.pre_tokenizer =
        ReadPreTokenizer(Part("pre_tokenizer"), name_ + ": pre_tokenizer", &byte_level);
    result_.vocabulary =
        ReadBpeVocabulary(JsonObject(std::move(Part("model")), name_ + ": model"), vocab_);
    result_.vocabulary.byte_level = byte_level;
    if (byte_level && result_.vocabulary.byte_fallback) {
      throw InputError(name_ + ": model: byte_fallback: true, but ByteLevel leaves nothing to it");
    }
    ReadAddedTokens(Part("added_tokens"));
    ReadPostProcessor(Part("post_processor"), name_ + ": post_processor");
    return std::move(result_);
  }

  // Of an added token or one of the vocabulary.
  int32_t IdOf(const std::string& token, const std::string& where) const {
    if (const auto added = added_.find(token); added != added_.end()) return added->second;
    const Ids& ids = result_.vocabulary.ids;
    if (const auto known = ids.find(token); known != ids.end()) return known->second;
    throw InputError(where + ": there is no token " + Quoted(token));
  }

 private:
  Json& Part(const char* key) { return root_[key]; }

  void ReadAddedTokens(const Json& json) {
    if (json.is_null()) return;
    if (!json.is_array()) throw InputError(name_ + ": added_tokens: expected a list");
    std::map<int32_t, std::string> names;
    for (const auto& [token, id] : result_.vocabulary.ids) names[id] = token;
    for (size_t i = 0; i < json.size(); ++i) {
      const JsonObject entry(json[i], name_ + ": added_tokens: entry " + std::to_string(i));
      CheckKeys(entry,
                {"id", "content", "single_word", "lstrip", "rstrip", "normalized", "special"});
      AddedToken token;
      token.content = entry.Text("content").value_or("");
      if (token.content.empty()) entry.Refuse("content", "expected a text that is not empty");
      const auto id = entry.Integer("id", 0, vocab_ - 1);
      if (!id) entry.Refuse("id", "missing");
      token.id = static_cast<int32_t>(*id);
      const auto [named, fresh] = names.try_emplace(token.id, token.content);
      if (named->second != token.content) {
        entry.Refuse("id", std::to_string(*id) + " is " + Quoted(named->second) + " already");
      }
      if (!added_.emplace(token.content, token.id).second) {
        entry.Refuse("content", Quoted(token.content) + " stands twice");
      }
      const auto in_vocabulary = result_.vocabulary.ids.find(token.content);
      if (in_vocabulary != result_.vocabulary.ids.end() && in_vocabulary->second != token.id) {
        entry.Refuse("id", "the vocabulary says " + std::to_string(in_vocabulary->second));
      }
      if (entry.Flag("single_word").value_or(false)) {
        entry.Refuse("single_word", "true is not supported; allowed: false");
      }
      token.lstrip = entry.Flag("lstrip").value_or(false);
      token.rstrip = entry.Flag("rstrip").value_or(false);
      const bool special = entry.Flag("special").value_or(false);
      if (!entry.Flag("normalized").value_or(!special)) {
        result_.raw_tokens.push_back(token);
      } else {
        token.content = Normalized(token.content, result_.normalizer);
        if (!token.content.empty()) result_.normalized_tokens.push_back(token);
      }
    }
  }

  void ReadPostProcessor(const Json& json, const std::string& name) {
    if (json.is_null()) return;
    const JsonObject part(json, name);
    const std::string type = part.Text("type").value_or("");
    if (type == "ByteLevel") return;  // offsets only
    if (type == "Sequence") {
      if (!part.Has("processors") || !part.Raw("processors").is_array()) {
        part.Refuse("processors", "expected a list");
      }
      const Json& processors = part.Raw("processors");
      for (size_t i = 0; i < processors.size(); ++i) {
        ReadPostProcessor(processors[i], name + ": processors: entry " + std::to_string(i));
      }
      return;
    }
    if (type != "TemplateProcessing") {
      part.Refuse("type", Quoted(type) + "; allowed: ByteLevel, TemplateProcessing, Sequence");
    }
    std::vector<int32_t> prefix = TemplatePrefix(part);
    prefix.insert(prefix.end(), result_.prefix.begin(), result_.prefix.end());
    result_.prefix = std::move(prefix);
  }

  // The ids of the special tokens that stand in `single` before the text.
  std::vector<int32_t> TemplatePrefix(const JsonObject& part) const {
    if (!part.Has("single") || !part.Raw("single").is_array()) {
      part.Refuse("single", "expected a list");
    }
    std::vector<int32_t> prefix;
    for (const Json& piece : part.Raw("single")) {
      const JsonObject entry(piece, part.name() + ": single");
      if (entry.Has("Sequence")) return prefix;
      const std::string token = entry.Object("SpecialToken").Text("id").value_or("");
      const JsonObject special = part.Object("special_tokens").Object(token);
      const auto ids = special.Numbers("ids").value_or(std::vector<double>());
      for (const double id : ids) {
        if (!(id >= 0 && id < static_cast<double>(vocab_)) || id != static_cast<int32_t>(id)) {
          special.Refuse("ids", "allowed: whole numbers from 0 to " + std::to_string(vocab_ - 1));
        }
        prefix.push_back(static_cast<int32_t>(id));
      }
    }
    part.Refuse("single", "has no Sequence");
  }

  Json root_;
  std::string name_;
  int64_t vocab_;
  BpeDescription result_;
  Ids added_;
};

}  // namespace

BpeDescription ReadTokenizerJson(const std::filesystem::path& path, const BosChoice& bos,
                                 int64_t vocab) {
  const MappedFile file(path);  // what is refused at its begin is not read to its end
  const std::string_view bytes(reinterpret_cast<const char*>(file.bytes().data()),
                               file.bytes().size());
  if (bytes.size() > kMaxFileBytes) {
    throw InputError(path.string() + ": has " + std::to_string(bytes.size()) +
                     " bytes, allowed are " + std::to_string(kMaxFileBytes));
  }
  Watch watch(path.string(), vocab);
  Json root = ParseJson(bytes, path.string(), std::bind_front(&Watch::See, &watch));
  Reader reader(std::move(root), path.string(), vocab);
  BpeDescription result = reader.Run();
  const std::string config = (path.parent_path() / "tokenizer_config.json").string();
  if (bos.add.has_value()) result.prefix.clear();
  if (bos.add.value_or(false)) {
    if (!bos.token) throw InputError(config + ": add_bos_token: true, but there is no bos_token");
    result.prefix.push_back(reader.IdOf(*bos.token, config + ": bos_token"));
  }
  std::string prefix;
  for (const int32_t id : result.prefix) prefix += " " + std::to_string(id);
  Sha256 digest;
  digest.Add(bytes);
  digest.Add("+prefix" + prefix);
  result.digest = Hex(digest.Finish());
  return result;
}

void CheckKeys(const JsonObject& object, std::initializer_list<const char*> known) {
  for (const std::string& key : object.Keys()) {
    if (std::find(known.begin(), known.end(), key) != known.end()) continue;
    std::string allowed;
    for (const char* name : known) allowed += (allowed.empty() ? "" : ", ") + std::string(name);
    object.Refuse(Quoted(key), "unknown key; allowed: " + allowed);
  }
}

}  // namespace longrope
