#include "eval/text/corpus.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/support/refusal.h"
#include "tests/support/temp_folder.h"

namespace longrope {
namespace {

namespace fs = std::filesystem;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using testing::RefusalOf;
using ::testing::StartsWith;
using testing::TempFolder;
using testing::WriteFile;

TEST(Corpus, FoldsCrlfAndNothingElse) {
  const TempFolder folder;
  const fs::path path = folder.path() / "a.txt";
  WriteFile(path, "one\r\ntwo\rthree\n\r\n\r");
  EXPECT_EQ(ReadText(path), "one\ntwo\rthree\n\n\r");
  WriteFile(path, "");
  EXPECT_EQ(ReadText(path), "");
}

TEST(Corpus, RefusesWhatIsNotUtf8WithItsOffset) {
  const TempFolder folder;
  const fs::path path = folder.path() / "a.txt";
  // The offset is of the file as it stands: what is folded away counts.
  WriteFile(path, "one\r\ntwo\r\ncaf\xe9 latin");
  EXPECT_THAT(RefusalOf([&] { ReadText(path); }),
              StartsWith(path.string() + ": byte 13 is not valid UTF-8"));
  EXPECT_THAT(RefusalOf([&] { OpenCorpus({path, "text"})->Text(0); }), HasSubstr("byte 13"));
}

TEST(Corpus, ReadsTheTextFilesOfAFolderInTheOrderOfTheirNames) {
  const TempFolder folder;
  for (const char* name : {"b.txt", "a.txt", "Z.txt", "10.txt", "9.txt", "notes.md", "c.txt.bak"}) {
    WriteFile(folder.path() / name, std::string("text of ") + name + "\r\n");
  }
  const auto corpus = OpenCorpus({folder.path(), "text"});
  std::vector<std::string> titles;
  for (size_t i = 0; i < corpus->size(); ++i) titles.push_back(corpus->Title(i));
  EXPECT_THAT(titles, ElementsAre("10", "9", "Z", "a", "b"));
  EXPECT_EQ(corpus->Text(3), "text of a.txt\n");
}

TEST(Corpus, ReadsTheNamedFieldOfEveryLine) {
  const TempFolder folder;
  const fs::path path = folder.path() / "books.jsonl";
  WriteFile(path,
            "{\"body\":\"one\\r\\ntwo\",\"text\":\"other\"}\r\n"
            "\n  \r\n"
            "{\"text\":\"x\",\"body\":\"\\u00e9\"}");
  const auto corpus = OpenCorpus({path, "body"});
  ASSERT_EQ(corpus->size(), 2u);
  EXPECT_EQ(corpus->Text(0), "one\ntwo");
  EXPECT_EQ(corpus->Text(1), "\xc3\xa9");
  EXPECT_EQ(corpus->Title(0), "books:1");
  EXPECT_EQ(corpus->Title(1), "books:4");
}

TEST(Corpus, RefusesLinesByNumber) {
  const TempFolder folder;
  const fs::path path = folder.path() / "books.jsonl";
  WriteFile(path,
            "{\"text\":\"fine\"}\n{\"body\":1}\n{\"text\":7}\n{\"text\":\n[]\n"
            "{\"text\":\"\xff\"}\n{\"text\":\"a\",\"text\":\"b\"}\n{\"text\":null}\n");
  const auto corpus = OpenCorpus({path, "text"});
  ASSERT_EQ(corpus->size(), 8u);
  EXPECT_EQ(corpus->Text(0), "fine");
  const auto refusal = [&](size_t index) {
    const std::string what = RefusalOf([&] { corpus->Text(index); });
    EXPECT_THAT(what, StartsWith(path.string() + ":" + std::to_string(index + 1) + ": "));
    return what;
  };
  EXPECT_THAT(refusal(1), HasSubstr("has no field 'text'"));
  EXPECT_THAT(refusal(2), HasSubstr("text: expected a text"));
  EXPECT_THAT(refusal(3), HasSubstr("not valid JSON"));
  EXPECT_THAT(refusal(4), HasSubstr("expected a JSON object"));
  EXPECT_THAT(refusal(5), HasSubstr("not valid JSON"));
  EXPECT_THAT(refusal(6), HasSubstr("stands twice"));
  EXPECT_THAT(refusal(7), HasSubstr("has no field 'text'"));
}

TEST(Corpus, RefusesWhatHoldsNoText) {
  const TempFolder folder;
  const auto refusal = [](const fs::path& path) {
    return RefusalOf([&] { OpenCorpus({path, "text"}); });
  };
  EXPECT_THAT(refusal(folder.path()), HasSubstr(folder.path().string() + ": holds no text"));
  WriteFile(folder.path() / "a.jsonl", "\n \n");
  EXPECT_THAT(refusal(folder.path() / "a.jsonl"), HasSubstr("a.jsonl: holds no text"));
  EXPECT_THAT(refusal(folder.path() / "none"), HasSubstr("none: does not exist"));
  WriteFile(folder.path() / "a.pdf", "x");
  EXPECT_THAT(refusal(folder.path() / "a.pdf"), HasSubstr("a.pdf: allowed: a folder of .txt"));
}

}  // namespace
}  // namespace longrope
