#include "eval/text/corpus.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <numeric>
#include <random>
#include <set>

#include "eval/storage/digest.h"
#include "tests/support/refusal.h"
#include "tests/support/temp_folder.h"

namespace longrope {
namespace {

namespace fs = std::filesystem;
using ::testing::AllOf;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using testing::RefusalOf;
using ::testing::StartsWith;
using testing::TempFolder;
using testing::WriteFile;

// Every byte a token, 1 in front: lengths and joins can be counted by hand.
class ByteTokenizer final : public Tokenizer {
 public:
  explicit ByteTokenizer(bool bos = true) : bos_(bos) {}
  std::vector<int32_t> Encode(std::string_view text) const override {
    std::vector<int32_t> ids = Prefix();
    for (char c : text) ids.push_back(static_cast<unsigned char>(c));
    return ids;
  }
  std::vector<int32_t> Prefix() const override {
    return bos_ ? std::vector<int32_t>{1} : std::vector<int32_t>{};
  }
  const std::string& Digest() const override { return digest_; }

 private:
  bool bos_;
  std::string digest_ = "bytes";
};

using Books = std::vector<std::pair<std::string, std::string>>;

// Books by title; the order of the titles is the corpus's.
class Shelf final : public Corpus {
 public:
  explicit Shelf(Books books) : books_(std::move(books)) {}
  size_t size() const override { return books_.size(); }
  std::string Title(size_t index) const override { return books_[index].first; }
  std::string Text(size_t index) const override {
    read.push_back(index);
    return books_[index].second;
  }
  mutable std::vector<size_t> read;

 private:
  Books books_;
};

std::vector<size_t> InOrder(size_t count) {
  std::vector<size_t> order(count);
  std::iota(order.begin(), order.end(), size_t{0});
  return order;
}

std::function<std::vector<size_t>(size_t)> Shuffled(unsigned seed) {
  return [seed](size_t count) {
    std::vector<size_t> order = InOrder(count);
    std::ranges::shuffle(order, std::mt19937(seed));
    return order;
  };
}

std::string TextOf(const Document& document) {
  std::string text;
  for (int32_t id : document.tokens) text += static_cast<char>(id);
  return text;
}

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

TEST(DrawDocuments, CutsBooksToTheirFirstTokensBosIncluded) {
  const Shelf shelf({{"short", "abc"}, {"long", "defghijk"}, {"just", "lmnop"}});
  const auto documents = DrawDocuments(shelf, ByteTokenizer(), {.length = 6, .count = 2}, InOrder);
  ASSERT_EQ(documents.size(), 2u);
  EXPECT_EQ(documents[0].title, "long");
  EXPECT_EQ(TextOf(documents[0]),
            "\x01"
            "defgh");
  EXPECT_EQ(documents[1].title, "just");
  EXPECT_EQ(TextOf(documents[1]), "\x01lmnop");
}

TEST(DrawDocuments, DigestIsThatOfTheIdsInLines) {
  const auto documents =
      DrawDocuments(Shelf(Books{{"b", "AB"}}), ByteTokenizer(), {.length = 3, .count = 1}, InOrder);
  EXPECT_EQ(documents.at(0).digest, Sha256Hex("1\n65\n66\n"));
  EXPECT_EQ(TokensDigest({1, 65, 66}), documents[0].digest);
  EXPECT_EQ(TokensDigest({}), Sha256Hex(""));
  EXPECT_NE(TokensDigest({16, 5}), TokensDigest({1, 65}));
}

TEST(DrawDocuments, LeavesOutBooksBelowTheMinimum) {
  const Shelf shelf({{"a", "12345"}, {"b", "1234567"}, {"c", "123456"}});
  const auto documents =
      DrawDocuments(shelf, ByteTokenizer(), {.length = 4, .min_tokens = 8, .count = 1}, InOrder);
  EXPECT_EQ(documents.at(0).title, "b");
  EXPECT_THAT(RefusalOf([&] {
                DrawDocuments(shelf, ByteTokenizer(), {.length = 4, .min_tokens = 8, .count = 2},
                              InOrder);
              }),
              HasSubstr("1 of the 2 documents of 4 tokens can be drawn from 3 books"));
}

TEST(DrawDocuments, CountsTheBooksThatMayBeDrawn) {
  const Shelf shelf({{"a", "12345"}, {"b", "1"}, {"c", "123456"}});
  EXPECT_THAT(RefusalOf([&] {
                DrawDocuments(shelf, ByteTokenizer(), {.length = 4, .count = 2}, [](size_t) {
                  return std::vector<size_t>{0, 1};
                });
              }),
              HasSubstr("can be drawn from 2 books (1 of at least 4 tokens"));
}

TEST(DrawDocuments, ReadsOnlyAsManyBooksAsItNeeds) {
  const Shelf shelf({{"a", "123456"}, {"b", "1"}, {"c", "123456"}, {"d", "123456"}});
  DrawDocuments(shelf, ByteTokenizer(), {.length = 5, .count = 2}, InOrder);
  EXPECT_THAT(shelf.read, ElementsAre(0, 1, 2));
}

TEST(DrawDocuments, DrawsEachBookOnceInTheOrderOfTheSeed) {
  Books books;
  for (int i = 0; i < 20; ++i) books.emplace_back(std::to_string(i), std::string(10, 'x'));
  const Shelf shelf(books);
  const auto titles = [&](unsigned seed) {
    std::vector<std::string> drawn;
    for (const Document& document :
         DrawDocuments(shelf, ByteTokenizer(), {.length = 5, .count = 12}, Shuffled(seed))) {
      drawn.push_back(document.title);
    }
    return drawn;
  };
  const auto one = titles(1);
  EXPECT_EQ(std::set<std::string>(one.begin(), one.end()).size(), 12u);
  EXPECT_EQ(titles(1), one);
  EXPECT_NE(titles(2), one);
}

TEST(DrawDocuments, JoinsWholeBooksWithOneBos) {
  const Shelf shelf({{"a", "12"}, {"b", "345"}, {"c", "67"}, {"d", "89abc"}, {"e", "def"}});
  const auto documents =
      DrawDocuments(shelf, ByteTokenizer(), {.length = 6, .count = 2, .join = true}, InOrder);
  ASSERT_EQ(documents.size(), 2u);
  EXPECT_EQ(documents[0].title, "a + b");
  EXPECT_EQ(TextOf(documents[0]),
            "\x01"
            "12345");
  EXPECT_EQ(documents[1].title, "c + d");  // each book serves one document
  EXPECT_EQ(TextOf(documents[1]),
            "\x01"
            "6789a");
  EXPECT_EQ(documents[1].digest, TokensDigest(documents[1].tokens));
}

TEST(DrawDocuments, JoinsWithoutBosWhereTheTokenizerAddsNone) {
  const auto documents = DrawDocuments(Shelf({{"a", "12"}, {"b", "345"}}), ByteTokenizer(false),
                                       {.length = 4, .count = 1, .join = true}, InOrder);
  EXPECT_EQ(TextOf(documents.at(0)), "1234");
}

TEST(DrawDocuments, JoinLeavesOutBooksBelowTheMinimum) {
  const auto documents =
      DrawDocuments(Shelf({{"a", "1"}, {"b", "234"}, {"c", "5"}, {"d", "678"}}), ByteTokenizer(),
                    {.length = 6, .min_tokens = 4, .count = 1, .join = true}, InOrder);
  EXPECT_EQ(documents.at(0).title, "b + d");
}

TEST(DrawDocuments, BeginsWhereItIsToldBehindTheBos) {
  std::vector<std::pair<int, int64_t>> asked;
  DrawOptions options{.length = 4, .count = 2};
  options.offset = [&](int index, int64_t positions) {
    asked.emplace_back(index, positions);
    return positions - 1;  // the last there is
  };
  const auto documents = DrawDocuments(Shelf({{"a", "12345"}, {"short", "1"}, {"b", "abc"}}),
                                       ByteTokenizer(), options, InOrder);
  // Six ids: three documents of four begin at the first, second and third byte.
  EXPECT_THAT(asked, ElementsAre(std::pair(0, int64_t{3}), std::pair(1, int64_t{1})));
  EXPECT_EQ(TextOf(documents.at(0)),
            "\x01"
            "345");
  EXPECT_EQ(documents.at(0).offset, 2);
  EXPECT_EQ(documents.at(0).digest, TokensDigest(documents.at(0).tokens));
  EXPECT_EQ(TextOf(documents.at(1)),
            "\x01"
            "abc");
  EXPECT_EQ(documents.at(1).offset, 0);
}

TEST(DrawDocuments, JoinedOnesBeginAnywhereInTheirFirstBook) {
  DrawOptions options{.length = 5, .count = 2, .join = true};
  std::vector<int64_t> asked;
  options.offset = [&](int, int64_t positions) {
    asked.push_back(positions);
    return positions - 1;
  };
  const auto documents =
      DrawDocuments(Shelf({{"a", "123"}, {"b", "4567"}, {"c", "abcdefgh"}, {"d", "ijkl"}}),
                    ByteTokenizer(), options, InOrder);
  EXPECT_THAT(asked, ElementsAre(3, 8));
  EXPECT_EQ(TextOf(documents.at(0)),
            "\x01"
            "3456");
  EXPECT_EQ(documents.at(0).offset, 2);
  EXPECT_EQ(documents.at(0).title, "a + b");
  EXPECT_EQ(TextOf(documents.at(1)),
            "\x01"
            "hijk");
  EXPECT_EQ(documents.at(1).offset, 7);
}

TEST(DrawDocuments, RefusesTooFewBooksWithTheCountsByLength) {
  Books books;
  for (size_t length : {500u, 1500u, 1600u, 2500u, 5000u}) {
    books.emplace_back("b", std::string(length, 'x'));
  }
  const Shelf shelf(books);
  EXPECT_THAT(RefusalOf([&] {
                DrawDocuments(shelf, ByteTokenizer(), {.length = 4096, .count = 3}, InOrder);
              }),
              AllOf(HasSubstr("1 of the 3 documents of 4096 tokens can be drawn from 5 books"),
                    HasSubstr("4 of at least 1024, 2 of at least 2048, 1 of at least 4096"),
                    HasSubstr("data.join: true")));
  EXPECT_THAT(RefusalOf([&] {
                DrawDocuments(shelf, ByteTokenizer(), {.length = 8192, .count = 2, .join = true},
                              InOrder);
              }),
              AllOf(HasSubstr("1 of the 2 documents of 8192 tokens can be drawn from 5 books"),
                    HasSubstr("0 of at least 8192")));
}

}  // namespace
}  // namespace longrope
