// The bound that decides which packed texts are not read at all.
#include "eval/text/most_tokens.h"

#include <gtest/gtest.h>

#include "tests/support/temp_folder.h"

namespace longrope {
namespace {

using testing::SourcePath;

constexpr char kMark[] = "\u2581";

std::string Repeated(const std::string& text, int times) {
  std::string all;
  for (int i = 0; i < times; ++i) all += text;
  return all;
}

// A vocabulary of 256 bytes as LLaMA names them, and what is given beside.
BpeDescription Bytes(std::vector<NormalizerStep> normalizer, bool with_mark = true) {
  BpeDescription description;
  for (int i = 0; i < 256; ++i) {
    char name[8];
    std::snprintf(name, sizeof name, "<0x%02X>", static_cast<unsigned>(i));
    description.vocabulary.ids[name] = i;
  }
  if (with_mark) description.vocabulary.ids[kMark] = 256;
  description.vocabulary.byte_fallback = true;
  description.normalizer = std::move(normalizer);
  return description;
}

TEST(MostTokens, IsABoundWhereTextsGrow) {
  const struct {
    std::vector<NormalizerStep> steps;
    std::string text;
    int64_t per_byte;
  } cases[] = {{{}, "\uFDFA", 1},
               {{NormalForm::kNfkc}, "\uFDFA", 11},
               {{NormalForm::kNfkd}, "\uFDFA", 11},
               {{NormalForm::kNfc}, "\U0001D160", 3},
               {{PrependStep{kMark}, ReplaceStep{" ", kMark}}, " ", 1},
               {{ReplaceStep{"ab", "12345"}}, "ab", 3}};
  for (const auto& [steps, text, per_byte] : cases) {
    const auto tokenizer = MakeBpeTokenizer(Bytes(steps));
    const std::string all = Repeated(text, 1000);
    const auto tokens = static_cast<int64_t>(tokenizer->Encode(all).size());
    EXPECT_EQ(MostTokensPerByte(Bytes(steps)), per_byte) << text;
    EXPECT_LE(tokens, tokenizer->MostTokens(static_cast<int64_t>(all.size()))) << text;
    if (per_byte > 1) {
      EXPECT_GT(tokens, static_cast<int64_t>(all.size()) + kTokensAround) << text;
    }
  }
  EXPECT_EQ(MostTokensPerByte(Bytes({ReplaceStep{" ", kMark}}, false)), 3);
}

TEST(MostTokens, CountsWhatStandsBeforeEveryPiece) {
  BpeDescription description = Bytes({PrependStep{kMark}});
  description.raw_tokens = {{.content = "<s>", .id = 300}};
  EXPECT_EQ(MostTokensPerByte(description), 1);
  description.raw_tokens.push_back({.content = "~", .id = 301});
  EXPECT_EQ(MostTokensPerByte(description), 2);
  const auto tokenizer = MakeBpeTokenizer(description);
  const std::string text = Repeated("~a", 1000);
  EXPECT_EQ(tokenizer->Encode(text).size(), 3000u);
  EXPECT_GE(tokenizer->MostTokens(2000), 3000);
}

TEST(MostTokens, OfSentencePieceIsTheBytesUnlessATableMayMakeThemMore) {
  EXPECT_EQ(OpenTokenizer(SourcePath("data/tiny"), 4096)->MostTokens(1000), 1000 + kTokensAround);
  // Field 3 of the message is the normalizer's, whose field 2 is the table.
  EXPECT_EQ(MostTokensPerByte(std::string_view("\x0A\x01x\x1A\x03\x12\x01t"), true), 0);
  EXPECT_EQ(MostTokensPerByte(std::string_view("\x0A\x01x\x1A\x02\x12\x00", 8), false), 3);
  EXPECT_EQ(MostTokensPerByte(std::string_view("\x1A\x0A\x0A\x08identity"), true), 1);
  EXPECT_EQ(MostTokensPerByte(std::string_view(), true), 0);
}

}  // namespace
}  // namespace longrope
