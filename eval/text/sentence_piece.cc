#include "eval/text/sentence_piece.h"

#include <sentencepiece_processor.h>

#include "eval/errors.h"
#include "eval/storage/digest.h"
#include "eval/storage/files.h"
#include "eval/text/most_tokens.h"

// Exported by the library, declared in none of its public headers.
namespace sentencepiece::logging {
void SetMinLogLevel(int level);
}

namespace longrope {
namespace {

constexpr int64_t kMaxModelBytes = 64 << 20;

class SentencePieceTokenizer final : public Tokenizer {
 public:
  SentencePieceTokenizer(const std::filesystem::path& path, bool add_bos, int64_t vocab) {
    const std::string bytes = ReadFile(path, kMaxModelBytes);
    sentencepiece::logging::SetMinLogLevel(4);  // errors are ours to report
    if (!processor_.LoadFromSerializedProto(bytes).ok()) {
      throw InputError(path.string() + ": is not a SentencePiece model");
    }
    if (processor_.GetPieceSize() > vocab) {
      throw InputError(path.string() + ": has " + std::to_string(processor_.GetPieceSize()) +
                       " pieces, the model's vocab_size is " + std::to_string(vocab));
    }
    if (add_bos) {
      if (processor_.bos_id() < 0) {
        throw InputError(path.string() +
                         ": has no BOS piece; set add_bos_token to false in "
                         "tokenizer_config.json");
      }
      prefix_.push_back(processor_.bos_id());
    }
    per_byte_ = MostTokensPerByte(bytes, !processor_.IsUnknown(processor_.PieceToId("\u2581")));
    digest_ = Sha256Hex(bytes + (add_bos ? "+bos" : ""));
  }

  std::vector<int32_t> Encode(std::string_view text) const override {
    std::vector<int> ids;
    const auto status = processor_.Encode(absl::string_view(text.data(), text.size()), &ids);
    if (!status.ok()) throw InputError("SentencePiece: " + status.ToString());
    std::vector<int32_t> tokens = prefix_;
    tokens.insert(tokens.end(), ids.begin(), ids.end());
    return tokens;
  }
  int64_t MostTokens(int64_t bytes) const override {
    return per_byte_ == 0 ? Tokenizer::MostTokens(bytes) : per_byte_ * bytes + kTokensAround;
  }
  std::vector<int32_t> Prefix() const override { return prefix_; }
  const std::string& Digest() const override { return digest_; }

 private:
  sentencepiece::SentencePieceProcessor processor_;
  std::vector<int32_t> prefix_;
  int64_t per_byte_ = 0;
  std::string digest_;
};

}  // namespace

std::unique_ptr<Tokenizer> OpenSentencePiece(const std::filesystem::path& path, bool add_bos,
                                             int64_t vocab) {
  return std::make_unique<SentencePieceTokenizer>(path, add_bos, vocab);
}

}  // namespace longrope
