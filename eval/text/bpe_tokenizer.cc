#include "eval/text/bpe_tokenizer.h"

#include "eval/errors.h"
#include "eval/text/most_tokens.h"
#include "eval/text/utf8.h"

namespace longrope {
namespace {

class BpeTokenizer final : public Tokenizer {
 public:
  explicit BpeTokenizer(BpeDescription description)
      : per_byte_(MostTokensPerByte(description)),
        prefix_(std::move(description.prefix)),
        digest_(std::move(description.digest)),
        raw_tokens_(description.raw_tokens),
        normalizer_(std::move(description.normalizer)),
        normalized_tokens_(description.normalized_tokens),
        pre_tokenizer_(std::move(description.pre_tokenizer)),
        model_(std::move(description.vocabulary)) {}

  std::vector<int32_t> Encode(std::string_view text) const override {
    if (const size_t fault = FindInvalidUtf8(text); fault != std::string_view::npos) {
      throw InputError("a text to tokenize is not UTF-8 at byte " + std::to_string(fault));
    }
    std::vector<int32_t> tokens = prefix_;
    BpeModel::Encoder encoder(model_, &tokens);
    const VisitWord add = [&](std::string_view word) { encoder.Add(word); };
    raw_tokens_.Split(text, [&](std::string_view stretch, int32_t id) {
      if (id >= 0) return tokens.push_back(id);
      const bool first = stretch.data() == text.data();
      if (normalizer_.empty()) return EncodeNormalized(stretch, first, add, &tokens);
      EncodeNormalized(Normalized(stretch, normalizer_), first, add, &tokens);
    });
    return tokens;
  }
  int64_t MostTokens(int64_t bytes) const override {
    return per_byte_ * bytes + kTokensAround + static_cast<int64_t>(prefix_.size());
  }
  std::vector<int32_t> Prefix() const override { return prefix_; }
  const std::string& Digest() const override { return digest_; }

 private:
  void EncodeNormalized(std::string_view text, bool first, const VisitWord& add,
                        std::vector<int32_t>* tokens) const {
    normalized_tokens_.Split(text, [&](std::string_view stretch, int32_t id) {
      if (id >= 0) return tokens->push_back(id);
      PreTokenize(stretch, first && stretch.data() == text.data(), pre_tokenizer_, add);
    });
  }

  int64_t per_byte_;
  std::vector<int32_t> prefix_;
  std::string digest_;
  AddedTokens raw_tokens_;
  std::vector<NormalizerStep> normalizer_;
  AddedTokens normalized_tokens_;
  std::vector<PreTokenizerStep> pre_tokenizer_;
  BpeModel model_;
};

}  // namespace

std::unique_ptr<Tokenizer> MakeBpeTokenizer(BpeDescription description) {
  return std::make_unique<BpeTokenizer>(std::move(description));
}

}  // namespace longrope
