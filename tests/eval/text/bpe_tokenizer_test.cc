// Ids of the `tokenizers` library, through digests of tests/golden/tokenizers.
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "eval/errors.h"
#include "eval/storage/digest.h"
#include "eval/text/corpus.h"
#include "eval/text/document.h"
#include "eval/text/tokenizer.h"
#include "tests/support/temp_folder.h"

namespace longrope {
namespace {

namespace fs = std::filesystem;
using nlohmann::json;
using testing::SlurpFile;
using testing::SourcePath;
using testing::TempFolder;

constexpr int64_t kVocab = 1100;

fs::path GoldenPath(const std::string& name) {
  return SourcePath("tests/golden/tokenizers") / name;
}

// A style's tokenizer, and what the library made of the texts.
class BpeTokenizerGolden : public ::testing::TestWithParam<std::string> {
 protected:
  BpeTokenizerGolden() {
    fs::copy_file(GoldenPath(GetParam() + ".json"), folder_.path() / "tokenizer.json");
    tokenizer_ = OpenTokenizer(folder_.path(), kVocab);
    golden_ = json::parse(SlurpFile(GoldenPath("golden.json")));
    style_ = golden_.at("styles").at(GetParam());
  }

  TempFolder folder_;
  std::unique_ptr<Tokenizer> tokenizer_;
  json golden_, style_;
};

TEST_P(BpeTokenizerGolden, GivesTheLibrarysIdsOfHardText) {
  const auto ids = tokenizer_->Encode(SlurpFile(GoldenPath("torture.txt")));
  EXPECT_EQ(ids.size(), style_.at("torture").at(0).get<size_t>());
  EXPECT_EQ(TokensDigest(ids), style_.at("torture").at(1).get<std::string>());
}

TEST_P(BpeTokenizerGolden, GivesTheLibrarysIdsOfRandomTexts) {
  const json texts = json::parse(SlurpFile(GoldenPath("random.json")));
  ASSERT_EQ(texts.size(), 2000u);
  size_t count = 0;
  std::string lines;
  for (const json& text : texts) {
    for (const int32_t id : tokenizer_->Encode(text.get<std::string>())) {
      lines += std::to_string(id) + "\n";
      ++count;
    }
    lines += "-\n";
  }
  EXPECT_EQ(count, style_.at("random").at(0).get<size_t>());
  EXPECT_EQ(Sha256Hex(lines), style_.at("random").at(1).get<std::string>());
}

TEST_P(BpeTokenizerGolden, GivesTheLibrarysIdsOfWholeBooks) {
  int books = 0;
  for (const auto& [name, digest] : golden_.at("books").items()) {
    const std::string text = SlurpFile(SourcePath("data/books") / name);
    if (Sha256Hex(text) != digest.get<std::string>()) continue;  // another edition
    const auto ids = tokenizer_->Encode(text);
    EXPECT_EQ(ids.size(), style_.at("books").at(name).at(0).get<size_t>()) << name;
    EXPECT_EQ(TokensDigest(ids), style_.at("books").at(name).at(1).get<std::string>()) << name;
    ++books;
  }
  EXPECT_EQ(books, 2) << "run data/fetch_books.sh";
}

INSTANTIATE_TEST_SUITE_P(Styles, BpeTokenizerGolden,
                         ::testing::Values("gpt2", "gpt2-prefix-space", "smollm2", "llama3",
                                           "qwen2", "llama2", "llama2-metaspace-first"));

// The golden tokenizer of a style, with a tokenizer_config.json.
std::unique_ptr<Tokenizer> Open(const std::string& style, const std::string& config) {
  const TempFolder folder;
  fs::copy_file(GoldenPath(style + ".json"), folder.path() / "tokenizer.json");
  if (!config.empty()) testing::WriteFile(folder.path() / "tokenizer_config.json", config);
  return OpenTokenizer(folder.path(), kVocab);
}

TEST(BpeTokenizer, PutsBosFirstAsTheTemplateOrTheConfigSays) {
  using Ids = std::vector<int32_t>;
  EXPECT_EQ(Open("llama3", "")->Prefix(), Ids{0});
  EXPECT_EQ(Open("llama3", R"({"add_bos_token": false})")->Prefix(), Ids{});
  EXPECT_EQ(Open("gpt2", "{}")->Prefix(), Ids{});
  const std::string wanted = R"({"add_bos_token": true, "bos_token": "<|endoftext|>"})";
  EXPECT_EQ(Open("gpt2", wanted)->Prefix(), Ids{0});
  EXPECT_EQ(
      Open("llama2", R"({"add_bos_token": true, "bos_token": {"content": "</s>"}})")->Prefix(),
      Ids{2});
  EXPECT_EQ(Open("gpt2", wanted)->Encode(""), Ids{0});
  EXPECT_NE(Open("gpt2", wanted)->Digest(), Open("gpt2", "")->Digest());
  EXPECT_EQ(Open("gpt2", "")->Digest(), Open("gpt2", "{}")->Digest());
}

TEST(BpeTokenizer, TakesOneWordOfMegabytes) {
  // Quadratic time would be hours. All tokens but the last are the same.
  for (const char* style : {"gpt2", "llama3", "llama2"}) {
    const auto tokenizer = Open(style, "");
    for (const char* unit : {"a", " ", "7", "-", "\u00e9"}) {
      std::string text;
      while (text.size() < 1'000'000) text += unit;
      const auto ids = tokenizer->Encode(text);
      ASSERT_GT(ids.size(), 100u);
      for (size_t i = 20; i + 20 < ids.size(); ++i) {
        ASSERT_EQ(ids[i], ids[i - 2]) << style << " '" << unit << "' at " << i;
      }
    }
  }
}

TEST(BpeTokenizer, RefusesTextThatIsNotUtf8) {
  const auto tokenizer = Open("gpt2", "");
  EXPECT_THROW(tokenizer->Encode("abc\xff"), InputError);
}

}  // namespace
}  // namespace longrope
