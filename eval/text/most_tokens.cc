#include "eval/text/most_tokens.h"

#include <algorithm>
#include <optional>

namespace longrope {
namespace {

class Bound {
 public:
  explicit Bound(const BpeDescription& description) : description_(description) {}

  int64_t PerByte() const {
    int64_t factor = 1;
    for (const NormalizerStep& step : description_.normalizer) {
      if (const auto* form = std::get_if<NormalForm>(&step)) factor *= GrowthOf(*form);
      if (const auto* prepend = std::get_if<PrependStep>(&step)) factor *= Before(prepend->prefix);
      if (const auto* replace = std::get_if<ReplaceStep>(&step)) {
        const auto size = static_cast<int64_t>(replace->what.size());
        factor *= std::max<int64_t>(1, (TokensOf(replace->by) + size - 1) / size);
      }
    }
    bool split = false;  // into pieces that may be of one byte
    for (const PreTokenizerStep& step : description_.pre_tokenizer) {
      if (std::holds_alternative<SplitStep>(step)) split = true;
      if (std::holds_alternative<PrefixSpaceStep>(step)) factor *= split ? 2 : Before(" ");
      if (const auto* space = std::get_if<MetaspaceStep>(&step)) {
        const int64_t mark = TokensOf(space->mark);
        factor *= mark * (split ? 1 + mark : Before(space->mark));
        split = true;
      }
    }
    return factor;
  }

 private:
  // In bytes of UTF-8, by the Unicode standard (annex 15: U+1D160 and U+FDFA are the worst).
  static int64_t GrowthOf(NormalForm form) {
    return form == NormalForm::kNfc || form == NormalForm::kNfd ? 3 : 11;
  }

  // At most: characters that are no token become their bytes.
  int64_t TokensOf(std::string_view text) const {
    const BpeVocabulary& vocabulary = description_.vocabulary;
    if (vocabulary.byte_level) return static_cast<int64_t>(text.size());
    int64_t tokens = 0;
    for (size_t at = 0; at < text.size();) {
      const size_t begin = at;
      NextCodePoint(text, &at);
      const bool known = vocabulary.ids.contains(std::string(text.substr(begin, at - begin)));
      tokens += known ? 1 : static_cast<int64_t>(at - begin);
    }
    return tokens;
  }

  // Of a prefix of every stretch between two added tokens: as a rule these have bytes enough, being
  // one token each, to stand for it.
  int64_t Before(std::string_view prefix) const {
    const int64_t more = TokensOf(prefix);
    const auto is_short = [&](const AddedToken& token) {
      return static_cast<int64_t>(token.content.size()) < 1 + more;
    };
    const bool any = std::ranges::any_of(description_.raw_tokens, is_short) ||
                     std::ranges::any_of(description_.normalized_tokens, is_short);
    return any || more >= kTokensAround / 2 ? 1 + more : 1;
  }

  const BpeDescription& description_;
};

uint64_t TakeVarint(std::string_view* message) {
  uint64_t value = 0;
  for (int shift = 0; shift < 64 && !message->empty(); shift += 7) {
    const auto byte = static_cast<unsigned char>(message->front());
    message->remove_prefix(1);
    value |= static_cast<uint64_t>(byte & 0x7F) << shift;
    if (byte < 0x80) break;
  }
  return value;
}

// A field of bytes of a protocol buffer message; nullopt: it has none.
std::optional<std::string_view> FieldOf(std::string_view message, uint64_t field) {
  const auto take = [&](uint64_t size) {
    const std::string_view taken = message.substr(0, size);
    message.remove_prefix(taken.size());
    return taken;
  };
  while (!message.empty()) {
    const uint64_t tag = TakeVarint(&message);
    switch (tag & 7) {
      case 0:
        TakeVarint(&message);
        break;
      case 1:
        take(8);
        break;
      case 2: {
        const std::string_view bytes = take(TakeVarint(&message));
        if (tag >> 3 == field) return bytes;
        break;
      }
      case 5:
        take(4);
        break;
      default:
        return std::nullopt;
    }
  }
  return std::nullopt;
}

}  // namespace

int64_t MostTokensPerByte(const BpeDescription& description) {
  return Bound(description).PerByte();
}

int64_t MostTokensPerByte(std::string_view sentence_piece_model, bool mark_is_piece) {
  constexpr uint64_t kNormalizerSpec = 3, kPrecompiledCharsMap = 2;
  const auto spec = FieldOf(sentence_piece_model, kNormalizerSpec);
  if (!spec || !FieldOf(*spec, kPrecompiledCharsMap).value_or("").empty()) return 0;
  return mark_is_piece ? 1 : 3;
}

}  // namespace longrope
