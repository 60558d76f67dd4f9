#include "eval/text/gguf_tokenizer.h"

#include <algorithm>
#include <functional>

#include "eval/shown_text.h"
#include "eval/storage/digest.h"
#include "eval/text/split_patterns.h"
#include "eval/text/tokenizer_json.h"
#include "eval/text/utf8.h"

namespace longrope {
namespace {

constexpr char kMark[] = "\u2581";
constexpr size_t kMaxPieceBytes = 512;
// Twice the largest vocabularies: what is refused for something else is to cost little.
constexpr int64_t kMaxTokens = 1 << 19;

// tokenizer.ggml.token_type
enum TokenType : int64_t { kNormal = 1, kUnknown, kControl, kUserDefined, kUnused, kByte };

class Reader {
 public:
  Reader(const GgufValues& values, int64_t vocab) : values_(values) {
    if (!values.Has(kTokens)) values.Refuse(kTokens, "missing");
    const auto count = static_cast<int64_t>(*values.Count(kTokens));
    if (count > kMaxTokens) {
      values.Refuse(
          kTokens, std::to_string(count) + " tokens; allowed: up to " + std::to_string(kMaxTokens));
    }
    if (count > vocab) {
      values.Refuse(kTokens, std::to_string(count) + " tokens; the model has " +
                                 std::to_string(vocab) + " embeddings");
    }
    tokens_ = *values.Texts(kTokens);
    types_ =
        values.Integers(kTypes, 0, kByte).value_or(std::vector<int64_t>(tokens_.size(), kNormal));
    if (types_.size() != tokens_.size()) RefuseCount(kTypes, types_.size());
  }

  BpeDescription Run() {
    const std::string model = values_.Text(kModel).value_or("");
    if (model == "gpt2") {
      ReadByteLevel();
    } else if (model == "llama") {
      ReadPieces();
    } else {
      values_.Refuse(kModel, Quoted(model) + "; allowed: llama, gpt2");
    }
    result_.digest = Digest(model);
    return std::move(result_);
  }

 private:
  static constexpr char kModel[] = "tokenizer.ggml.model";
  static constexpr char kTokens[] = "tokenizer.ggml.tokens";
  static constexpr char kTypes[] = "tokenizer.ggml.token_type";
  static constexpr char kScores[] = "tokenizer.ggml.scores";
  static constexpr char kMerges[] = "tokenizer.ggml.merges";
  static constexpr char kPre[] = "tokenizer.ggml.pre";
  static constexpr char kBos[] = "tokenizer.ggml.bos_token_id";
  static constexpr char kAddBos[] = "tokenizer.ggml.add_bos_token";
  static constexpr char kAddSpace[] = "tokenizer.ggml.add_space_prefix";

  [[noreturn]] void RefuseToken(const char* key, size_t i, const std::string& why) const {
    values_.Refuse(key, "element " + std::to_string(i) + ": " + why);
  }
  [[noreturn]] void RefuseCount(const char* key, size_t count) const {
    values_.Refuse(
        key, std::to_string(count) + " elements for " + std::to_string(tokens_.size()) + " tokens");
  }

  void ReadByteLevel() {
    const auto merges = ReadMerges();
    AddIds([](int64_t) { return true; });
    const std::string pre = values_.Text(kPre).value_or("default");
    auto named = PreTokenizerOf(pre, values_.name() + ": " + kPre);
    result_.pre_tokenizer = std::move(named.steps);
    result_.normalizer = std::move(named.normalizer);
    result_.vocabulary.byte_level = true;
    result_.vocabulary.ignore_merges = named.ignore_merges;
    for (size_t i = 0; i < merges.size(); ++i) AddMerge(merges[i], i);
    AddFoundTokens(&result_.raw_tokens,
                   [](int64_t type) { return type == kControl || type == kUserDefined; });
    AddPrefix(named.add_bos, std::nullopt);
  }

  // Two words each, as far as can be told before the tokens are gathered.
  std::vector<std::string_view> ReadMerges() const {
    if (!values_.Has(kMerges)) values_.Refuse(kMerges, "missing");
    const auto count = static_cast<int64_t>(*values_.Count(kMerges));
    const int64_t most = MostMerges(static_cast<int64_t>(tokens_.size()));
    if (count > most) {
      values_.Refuse(kMerges, std::to_string(count) + " merges for " +
                                  std::to_string(tokens_.size()) + " tokens; allowed: up to " +
                                  std::to_string(most));
    }
    std::vector<std::string_view> merges = *values_.Texts(kMerges);
    for (size_t i = 0; i < merges.size(); ++i) {
      if (std::ranges::count(merges[i], ' ') != 1) {
        RefuseToken(kMerges, i, "expected two tokens and a space between");
      }
    }
    return merges;
  }

  void AddMerge(std::string_view entry, size_t i) {
    const size_t space = entry.find(' ');
    const auto find = [&](const std::string& token) {
      const auto found = result_.vocabulary.ids.find(token);
      if (token.empty() || found == result_.vocabulary.ids.end()) {
        RefuseToken(kMerges, i, Quoted(token) + " is no token");
      }
      return found->second;
    };
    const std::string left(entry.substr(0, space)), right(entry.substr(space + 1));
    result_.vocabulary.merges.push_back(
        {find(left), find(right), find(left + right), static_cast<int32_t>(i)});
  }

  void ReadPieces() {
    const auto scores = values_.Floats(kScores);
    if (!scores) values_.Refuse(kScores, "missing");
    if (scores->size() != tokens_.size()) RefuseCount(kScores, scores->size());
    CheckBytes();
    AddIds([](int64_t type) {
      return type == kNormal || type == kUserDefined || type == kByte || type == 0;
    });
    AddScoredMerges(*scores);
    result_.vocabulary.byte_fallback = true;
    result_.vocabulary.fuse_unk = true;
    const auto unknown = std::find(types_.begin(), types_.end(), kUnknown);
    if (unknown != types_.end()) {
      result_.vocabulary.unk = static_cast<int32_t>(unknown - types_.begin());
    }
    if (values_.Flag(kAddSpace).value_or(true)) result_.normalizer.push_back(PrependStep{kMark});
    result_.normalizer.push_back(ReplaceStep{" ", kMark});
    AddFoundTokens(&result_.normalized_tokens, [](int64_t type) { return type == kUserDefined; });
    AddPrefix(true, 1);
  }

  void CheckBytes() const {
    for (size_t i = 0; i < tokens_.size(); ++i) {
      if (types_[i] != kByte) continue;
      constexpr std::string_view kDigits = "0123456789ABCDEF";
      const std::string_view token = tokens_[i];
      if (token.size() != 6 || !token.starts_with("<0x") || token[5] != '>' ||
          kDigits.find(token[3]) == kDigits.npos || kDigits.find(token[4]) == kDigits.npos) {
        RefuseToken(kTokens, i, Quoted(token) + " is of type byte; allowed: <0x00> to <0xFF>");
      }
    }
  }

  // Every way to make a piece out of two others; the better its score, the sooner.
  void AddScoredMerges(const std::vector<float>& scores) {
    std::vector<float> ranks = scores;
    std::sort(ranks.begin(), ranks.end(), std::greater<>());
    ranks.erase(std::unique(ranks.begin(), ranks.end()), ranks.end());
    const auto& ids = result_.vocabulary.ids;
    const auto find = [&](std::string_view piece) {
      const auto found = ids.find(std::string(piece));
      return found == ids.end() || types_[found->second] == kByte ? -1 : found->second;
    };
    for (size_t i = 0; i < tokens_.size(); ++i) {
      const std::string_view piece = tokens_[i];
      const int32_t id = find(piece);
      if (id < 0) continue;
      if (piece.size() > kMaxPieceBytes) {
        RefuseToken(kTokens, i,
                    std::to_string(piece.size()) + " bytes; allowed: up to " +
                        std::to_string(kMaxPieceBytes));
      }
      const auto rank = std::lower_bound(ranks.begin(), ranks.end(), scores[i], std::greater<>());
      for (size_t cut = 1; cut < piece.size(); ++cut) {
        const int32_t left = find(piece.substr(0, cut));
        const int32_t right = left < 0 ? -1 : find(piece.substr(cut));
        if (right < 0) continue;
        result_.vocabulary.merges.push_back(
            {left, right, id, static_cast<int32_t>(rank - ranks.begin())});
      }
    }
  }

  // The ids of the tokens whose types are wanted; all must be different texts.
  template <typename Wanted>
  void AddIds(const Wanted& wanted) {
    result_.vocabulary.ids.reserve(tokens_.size());
    for (size_t i = 0; i < tokens_.size(); ++i) {
      std::string token(tokens_[i]);
      if (FindInvalidUtf8(token) != std::string_view::npos) {
        RefuseToken(kTokens, i, "is not UTF-8");
      }
      if (!wanted(types_[i]) || token.empty()) continue;
      const auto [known, fresh] =
          result_.vocabulary.ids.emplace(std::move(token), static_cast<int32_t>(i));
      if (!fresh) {
        RefuseToken(
            kTokens, i,
            Quoted(known->first) + " is element " + std::to_string(known->second) + " already");
      }
    }
  }

  template <typename Wanted>
  void AddFoundTokens(std::vector<AddedToken>* found, const Wanted& wanted) const {
    for (size_t i = 0; i < tokens_.size(); ++i) {
      if (!wanted(types_[i]) || tokens_[i].empty()) continue;
      found->push_back({.content = std::string(tokens_[i]), .id = static_cast<int32_t>(i)});
    }
  }

  void AddPrefix(bool by_default, std::optional<int64_t> default_bos) {
    if (!values_.Flag(kAddBos).value_or(by_default)) return;
    auto bos = values_.Integer(kBos, 0, static_cast<int64_t>(tokens_.size()) - 1);
    if (!bos) bos = default_bos;
    if (!bos || *bos >= static_cast<int64_t>(tokens_.size())) {
      values_.Refuse(kBos, "missing, but a BOS is to be added");
    }
    result_.prefix = {static_cast<int32_t>(*bos)};
  }

  std::string Digest(const std::string& model) const {
    Sha256 digest;
    const auto add = [&](std::string_view text) {
      digest.Add(std::to_string(text.size()) + ":");
      digest.Add(text);
    };
    add("gguf");
    add(model);
    add(values_.Text(kPre).value_or("default"));
    add(values_.Flag(kAddSpace).value_or(true) ? "space" : "");
    for (const int32_t id : result_.prefix) add(std::to_string(id));
    add("tokens");
    for (size_t i = 0; i < tokens_.size(); ++i) {
      add(tokens_[i]);
      add(std::to_string(types_[i]));
    }
    add("merges");
    for (const Merge& merge : result_.vocabulary.merges) {
      for (const int32_t number : {merge.left, merge.right, merge.product, merge.rank}) {
        add(std::to_string(number));
      }
    }
    return Hex(digest.Finish());
  }

  const GgufValues& values_;
  std::vector<std::string_view> tokens_;
  std::vector<int64_t> types_;
  BpeDescription result_;
};

}  // namespace

BpeDescription ReadGgufTokenizer(const GgufValues& values, int64_t vocab) {
  return Reader(values, vocab).Run();
}

}  // namespace longrope
