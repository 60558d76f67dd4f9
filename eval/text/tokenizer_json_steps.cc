#include "eval/errors.h"
#include "eval/shown_text.h"
#include "eval/text/split_patterns.h"
#include "eval/text/tokenizer_json.h"

namespace longrope {
namespace {

std::string TypeOf(const JsonObject& part) {
  const auto type = part.Text("type");
  if (!type) part.Refuse("type", "missing");
  return *type;
}

const Json& ListOf(const JsonObject& part, const char* key) {
  if (!part.Has(key) || !part.Raw(key).is_array()) part.Refuse(key, "expected a list");
  return part.Raw(key);
}

std::string TextOf(const JsonObject& part, const char* key) {
  const auto text = part.Text(key);
  if (!text) part.Refuse(key, "missing");
  return *text;
}

class NormalizerReader {
 public:
  std::vector<NormalizerStep> steps;

  void Read(const Json& json, const std::string& name) {
    if (json.is_null()) return;
    const JsonObject part(json, name);
    const std::string type = TypeOf(part);
    if (type == "Sequence") {
      CheckKeys(part, {"type", "normalizers"});
      const Json& list = ListOf(part, "normalizers");
      for (size_t i = 0; i < list.size(); ++i) {
        Read(list[i], name + ": normalizers: entry " + std::to_string(i));
      }
    } else if (type == "Prepend") {
      CheckKeys(part, {"type", "prepend"});
      steps.push_back(PrependStep{TextOf(part, "prepend")});
    } else if (type == "Replace") {
      CheckKeys(part, {"type", "pattern", "content"});
      const JsonObject pattern = part.Object("pattern");
      CheckKeys(pattern, {"String"});
      const std::string what = TextOf(pattern, "String");
      if (what.empty()) pattern.Refuse("String", "expected a text that is not empty");
      steps.push_back(ReplaceStep{what, TextOf(part, "content")});
    } else if (type == "NFC") {
      steps.emplace_back(NormalForm::kNfc);
    } else if (type == "NFD") {
      steps.emplace_back(NormalForm::kNfd);
    } else if (type == "NFKC") {
      steps.emplace_back(NormalForm::kNfkc);
    } else if (type == "NFKD") {
      steps.emplace_back(NormalForm::kNfkd);
    } else {
      part.Refuse("type", Quoted(type) +
                              "; allowed: Prepend, Replace, NFC, NFD, NFKC, NFKD, Sequence, null");
    }
  }
};

class PreTokenizerReader {
 public:
  std::vector<PreTokenizerStep> steps;
  bool byte_level = false;

  void Read(const Json& json, const std::string& name) {
    if (json.is_null()) return;
    const JsonObject part(json, name);
    const std::string type = TypeOf(part);
    if (type == "Sequence") return ReadSequence(part);
    if (byte_level) part.Refuse("type", Quoted(type) + " after ByteLevel is not supported");
    if (type == "ByteLevel") return ReadByteLevel(part);
    if (type == "Split") return ReadSplit(part);
    if (type == "Digits") return ReadDigits(part);
    if (type == "Metaspace") return ReadMetaspace(part);
    part.Refuse("type",
                Quoted(type) + "; allowed: ByteLevel, Split, Digits, Metaspace, Sequence, null");
  }

 private:
  void ReadSequence(const JsonObject& part) {
    CheckKeys(part, {"type", "pretokenizers"});
    const Json& list = ListOf(part, "pretokenizers");
    for (size_t i = 0; i < list.size(); ++i) {
      Read(list[i], part.name() + ": pretokenizers: entry " + std::to_string(i));
    }
  }

  void ReadByteLevel(const JsonObject& part) {
    CheckKeys(part, {"type", "add_prefix_space", "trim_offsets", "use_regex"});
    byte_level = true;
    if (part.Flag("add_prefix_space").value_or(true)) steps.push_back(PrefixSpaceStep{});
    if (part.Flag("use_regex").value_or(true)) {
      steps.push_back(IsolatedMatches(kGpt2Pattern, part.name()));
    }
  }

  void ReadSplit(const JsonObject& part) {
    CheckKeys(part, {"type", "pattern", "behavior", "invert"});
    const JsonObject pattern = part.Object("pattern");
    CheckKeys(pattern, {"Regex", "String"});
    SplitStep step;
    if (const auto regex = pattern.Text("Regex")) {
      step.regex = std::make_shared<Regex>(*regex, pattern.name() + ": Regex");
    } else {
      step.literal = TextOf(pattern, "String");
      if (step.literal.empty()) pattern.Refuse("String", "expected a text that is not empty");
    }
    const std::string behavior = TextOf(part, "behavior");
    const std::pair<const char*, SplitBehavior> behaviors[] = {
        {"Removed", SplitBehavior::kRemoved},
        {"Isolated", SplitBehavior::kIsolated},
        {"MergedWithPrevious", SplitBehavior::kMergedWithPrevious},
        {"MergedWithNext", SplitBehavior::kMergedWithNext},
        {"Contiguous", SplitBehavior::kContiguous}};
    bool known = false;
    for (const auto& [name, value] : behaviors) {
      if (behavior == name) step.behavior = value;
      known = known || behavior == name;
    }
    if (!known) {
      part.Refuse("behavior", Quoted(behavior) +
                                  "; allowed: Removed, Isolated, MergedWithPrevious, "
                                  "MergedWithNext, Contiguous");
    }
    step.invert = part.Flag("invert").value_or(false);
    steps.push_back(std::move(step));
  }

  void ReadDigits(const JsonObject& part) {
    CheckKeys(part, {"type", "individual_digits"});
    const bool each = part.Flag("individual_digits").value_or(false);
    steps.push_back(IsolatedMatches(each ? R"(\p{N})" : R"(\p{N}+)", part.name()));
  }

  void ReadMetaspace(const JsonObject& part) {
    CheckKeys(part,
              {"type", "replacement", "str_rep", "add_prefix_space", "prepend_scheme", "split"});
    MetaspaceStep step;
    step.mark = TextOf(part, "replacement");
    if (step.mark.empty()) part.Refuse("replacement", "expected a character");
    const bool prefix = part.Flag("add_prefix_space").value_or(true);
    const std::string scheme = part.Text("prepend_scheme").value_or(prefix ? "always" : "never");
    if (scheme == "always") {
      step.scheme = PrependScheme::kAlways;
    } else if (scheme == "first") {
      step.scheme = PrependScheme::kFirst;
    } else if (scheme == "never") {
      step.scheme = PrependScheme::kNever;
    } else {
      part.Refuse("prepend_scheme", Quoted(scheme) + "; allowed: always, first, never");
    }
    steps.push_back(step);
    if (!part.Flag("split").value_or(true)) return;
    steps.push_back(
        SplitStep{.regex = {}, .literal = step.mark, .behavior = SplitBehavior::kMergedWithNext});
  }
};

}  // namespace

std::vector<NormalizerStep> ReadNormalizer(const Json& json, const std::string& name) {
  NormalizerReader reader;
  reader.Read(json, name);
  return std::move(reader.steps);
}

std::vector<PreTokenizerStep> ReadPreTokenizer(const Json& json, const std::string& name,
                                               bool* byte_level) {
  PreTokenizerReader reader;
  reader.Read(json, name);
  *byte_level = reader.byte_level;
  return std::move(reader.steps);
}

}  // namespace longrope
