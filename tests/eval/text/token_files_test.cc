#include "eval/text/token_files.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/support/refusal.h"
#include "tests/support/temp_folder.h"

namespace longrope {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using testing::RefusalOf;
using ::testing::StartsWith;
using testing::TempFolder;
using testing::WriteFile;

// Little-endian.
std::string Ids(const std::vector<uint32_t>& ids, int width) {
  std::string bytes;
  for (uint32_t id : ids) {
    for (int i = 0; i < width; ++i) bytes += static_cast<char>(id >> (8 * i) & 255);
  }
  return bytes;
}

TEST(TokenFiles, ReadsAFileAsABook) {
  const TempFolder folder;
  WriteFile(folder / "moby.bin", Ids({1, 256, 65535, 2}, 2));
  const auto books = OpenTokenFiles({folder / "moby.bin", "uint16"});
  ASSERT_EQ(books->size(), 1u);
  EXPECT_EQ(books->Title(0), "moby");
  EXPECT_THAT(books->Tokens(0), ElementsAre(1, 256, 65535, 2));
  EXPECT_EQ(books->MostTokens(0), 4);
  EXPECT_THAT(books->Prefix(), IsEmpty());
  WriteFile(folder / "moby.ids", Ids({70000, 3}, 4));
  EXPECT_THAT(OpenTokenFiles({folder / "moby.ids", "uint32"})->Tokens(0), ElementsAre(70000, 3));
}

TEST(TokenFiles, ReadsAFolderInTheOrderOfTheNames) {
  const TempFolder folder;
  WriteFile(folder / "b.u16", Ids({2}, 2));
  WriteFile(folder / "a.bin", Ids({1, 1}, 2));
  WriteFile(folder / "c.bin", "");
  WriteFile(folder / "meta.pkl", "odd");
  const auto books = OpenTokenFiles({folder.path(), "uint16"});
  ASSERT_EQ(books->size(), 2u);
  EXPECT_EQ(books->Title(0) + books->Title(1), "ab");
  EXPECT_THAT(books->Tokens(1), ElementsAre(2));
  WriteFile(folder / "a.u16", Ids({1}, 2));
  EXPECT_THAT(RefusalOf([&] {
                OpenTokenFiles({folder.path(), "uint16"});
              }),
              HasSubstr("two files are named 'a'"));
}

TEST(TokenFiles, SplitsAFileAtTheSeparator) {
  const TempFolder folder;
  WriteFile(folder / "train.bin", Ids({0, 5, 6, 0, 0, 7, 0, 8, 9, 10}, 2));
  const auto books = OpenTokenFiles({folder / "train.bin", "uint16", 0});
  ASSERT_EQ(books->size(), 3u);
  EXPECT_EQ(books->Title(2), "train:3");
  EXPECT_THAT(books->Tokens(0), ElementsAre(5, 6));
  EXPECT_THAT(books->Tokens(1), ElementsAre(7));
  EXPECT_THAT(books->Tokens(2), ElementsAre(8, 9, 10));
}

TEST(TokenFiles, RefusesIdsOutsideTheVocabularyWithTheirPlace) {
  const TempFolder folder;
  const auto path = folder / "a.bin";
  WriteFile(path, Ids({1, 31999, 32000}, 2));
  EXPECT_THAT(RefusalOf([&] {
                OpenTokenFiles({path, "uint16", std::nullopt, 32000})->Tokens(0);
              }),
              StartsWith(path.string() + ": byte 4: id 32000; allowed: ids below 32000"));
  WriteFile(path, Ids({1, 0xffffffff}, 4));
  EXPECT_THAT(RefusalOf([&] {
                OpenTokenFiles({path, "uint32"})->Tokens(0);
              }),
              HasSubstr("byte 4: id 4294967295"));
}

TEST(TokenFiles, RefusesWhatHoldsNoIds) {
  const TempFolder folder;
  const auto path = folder / "a.bin";
  const auto refusal = [](const std::filesystem::path& at, const char* type) {
    return RefusalOf([&] { OpenTokenFiles({at, type}); });
  };
  EXPECT_THAT(refusal(path, "uint16"), HasSubstr("data.path: " + path.string() + ": does not"));
  EXPECT_THAT(refusal(folder.path(), "uint16"), HasSubstr("holds no ids"));
  WriteFile(path, "");
  EXPECT_THAT(refusal(path, "uint16"), HasSubstr("holds no ids"));
  WriteFile(path, "123456");
  EXPECT_THAT(refusal(path, "uint32"), HasSubstr("has 6 bytes, no whole number of ids of 4 bytes"));
}

}  // namespace
}  // namespace longrope
