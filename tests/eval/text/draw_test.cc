#include "eval/text/draw.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <functional>
#include <numeric>
#include <random>
#include <set>

#include "eval/storage/digest.h"
#include "tests/support/byte_tokenizer.h"
#include "tests/support/refusal.h"

namespace longrope {
namespace {

using ::testing::AllOf;
using testing::ByteTokenizer;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using testing::RefusalOf;

using Titled = std::vector<std::pair<std::string, std::string>>;

// Books by title; the order of the titles is the corpus's.
class Shelf final : public Corpus {
 public:
  explicit Shelf(Titled books) : books_(std::move(books)) {}
  size_t size() const override { return books_.size(); }
  std::string Title(size_t index) const override { return books_[index].first; }
  std::string Text(size_t index) const override {
    read.push_back(index);
    return books_[index].second;
  }
  mutable std::vector<size_t> read;

 private:
  Titled books_;
};

// A shelf that somebody else owns.
class Lent final : public Corpus {
 public:
  explicit Lent(const Corpus& owned) : owned_(owned) {}
  size_t size() const override { return owned_.size(); }
  std::string Title(size_t index) const override { return owned_.Title(index); }
  std::string Text(size_t index) const override { return owned_.Text(index); }

 private:
  const Corpus& owned_;
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

// Of texts by a tokenizer.
std::vector<Document> DrawDocuments(const Shelf& shelf, const Tokenizer& tokenizer,
                                    const DrawOptions& options,
                                    const std::function<std::vector<size_t>(size_t)>& order) {
  shelf.read.clear();
  auto lent = std::make_unique<Lent>(shelf);
  return longrope::DrawDocuments(TokenizedBooks(std::move(lent), &tokenizer, nullptr, {}), options,
                                 order);
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
  const auto documents = DrawDocuments(Shelf(Titled{{"b", "AB"}}), ByteTokenizer(),
                                       {.length = 3, .count = 1}, InOrder);
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
  Titled books;
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
  Titled books;
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
