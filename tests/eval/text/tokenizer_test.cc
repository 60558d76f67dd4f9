#include "eval/text/tokenizer.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "eval/storage/digest.h"
#include "eval/text/corpus.h"
#include "eval/text/document.h"
#include "tests/support/refusal.h"
#include "tests/support/temp_folder.h"

namespace longrope {
namespace {

namespace fs = std::filesystem;
using nlohmann::json;
using ::testing::HasSubstr;
using testing::RefusalOf;
using testing::SlurpFile;
using testing::SourcePath;
using testing::TempFolder;

constexpr int64_t kVocab = 4096;

json Golden() { return json::parse(SlurpFile(SourcePath("tests/golden/tokenizer/golden.json"))); }

// A folder with data/tiny's tokenizer.model and a config of ours.
void CopyModel(const fs::path& folder, const std::string& config) {
  fs::copy_file(SourcePath("data/tiny/tokenizer.model"), folder / "tokenizer.model");
  if (!config.empty()) testing::WriteFile(folder / "tokenizer_config.json", config);
}

TEST(Tokenizer, GivesSentencePiecesOwnIdsOnTheTortureFile) {
  const auto tokenizer = OpenTokenizer(SourcePath("data/tiny"), kVocab);
  const auto expected = Golden().at("torture").at("ids").get<std::vector<int32_t>>();
  EXPECT_EQ(tokenizer->Encode(SlurpFile(SourcePath("tests/golden/tokenizer/torture.txt"))),
            expected);
}

TEST(Tokenizer, GivesSentencePiecesOwnIdsOnWholeBooks) {
  const auto tokenizer = OpenTokenizer(SourcePath("data/tiny"), kVocab);
  int books = 0;
  size_t bytes = 0;
  const json golden = Golden();
  for (const auto& [name, book] : golden.at("books").items()) {
    const fs::path path = SourcePath("data/books") / name;
    if (!fs::exists(path)) continue;
    const std::string text = SlurpFile(path);
    // Another edition of the book has other ids; the goldens say nothing of it.
    if (Sha256Hex(text) != book.at("text_sha256").get<std::string>()) continue;
    const auto ids = tokenizer->Encode(text);
    EXPECT_EQ(ids.size(), book.at("tokens").get<size_t>()) << name;
    EXPECT_EQ(TokensDigest(ids), book.at("ids_sha256").get<std::string>()) << name;
    ++books;
    bytes += text.size();
  }
  EXPECT_GE(books, 4) << "run data/fetch_books.sh";
  EXPECT_GT(bytes, 1'000'000u);
}

TEST(Tokenizer, PutsBosFirstUnlessTheConfigSaysFalse) {
  const struct {
    const char* config;
    bool bos;
  } cases[] = {{R"({"add_bos_token": true})", true},
               {R"({"add_bos_token": false})", false},
               {R"({"add_bos_token": null})", true},
               {"{}", true},
               {"", true}};  // no file at all
  const auto usual = OpenTokenizer(SourcePath("data/tiny"), kVocab);
  const std::vector<int32_t> with = usual->Encode("It is a truth");
  ASSERT_EQ(with.front(), 1);
  for (const auto& [config, bos] : cases) {
    const TempFolder folder;
    CopyModel(folder.path(), config);
    const auto tokenizer = OpenTokenizer(folder.path(), kVocab);
    EXPECT_EQ(tokenizer->Encode("It is a truth"),
              bos ? with : std::vector<int32_t>(with.begin() + 1, with.end()))
        << config;
    EXPECT_EQ(tokenizer->Prefix(), bos ? std::vector<int32_t>{1} : std::vector<int32_t>{});
    EXPECT_EQ(tokenizer->Digest() == usual->Digest(), bos) << config;
  }
}

TEST(Tokenizer, GivesNothingButBosForAnEmptyText) {
  EXPECT_EQ(OpenTokenizer(SourcePath("data/tiny"), kVocab)->Encode(""), std::vector<int32_t>{1});
}

TEST(Tokenizer, RefusesAFlagThatIsNone) {
  const TempFolder folder;
  CopyModel(folder.path(), R"({"add_bos_token": "yes"})");
  EXPECT_THAT(RefusalOf([&] { OpenTokenizer(folder.path(), kVocab); }),
              HasSubstr("tokenizer_config.json: add_bos_token: expected true or false"));
}

TEST(Tokenizer, RefusesAMissingModelByName) {
  const TempFolder folder;
  EXPECT_THAT(RefusalOf([&] { OpenTokenizer(folder.path(), kVocab); }),
              HasSubstr((folder.path() / "tokenizer.model").string() + ": is missing"));
}

TEST(Tokenizer, RefusesMorePiecesThanTheModelHasRows) {
  EXPECT_THAT(RefusalOf([&] { OpenTokenizer(SourcePath("data/tiny"), kVocab - 1); }),
              HasSubstr("tokenizer.model: has 4096 pieces, the model's vocab_size is 4095"));
}

TEST(Tokenizer, RefusesAModelThatIsCutOffOrNoneAtAll) {
  const std::string whole = SlurpFile(SourcePath("data/tiny/tokenizer.model"));
  std::vector<std::string> files = {"", "no model", std::string(1000, '\0'),
                                    std::string(1000, '\xff'), "{\"model\": {}}"};
  // Cut within the pieces: whatever cannot be parsed, or has no unknown piece.
  for (size_t length = 1; length < whole.size(); length += 7919) {
    files.push_back(whole.substr(0, length));
  }
  for (const std::string& bytes : files) {
    const TempFolder folder;
    testing::WriteFile(folder.path() / "tokenizer.model", bytes);
    EXPECT_THAT(RefusalOf([&] { OpenTokenizer(folder.path(), kVocab); }),
                HasSubstr("tokenizer.model: is not a SentencePiece model"))
        << bytes.size() << " bytes";
  }
}

}  // namespace
}  // namespace longrope
