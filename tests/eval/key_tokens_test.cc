#include "eval/key_tokens.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <map>

namespace longrope {
namespace {

using ::testing::ElementsAre;

// Ids are positions: 0 is the prefix. A loss is a function of the id and of whether the context is
// the whole text.
class FakeReference {
 public:
  std::map<int32_t, double> with_long, with_short;  // nats by id; 3 where nothing is said
  std::vector<std::vector<int32_t>> windows;

  NatsOf Long() {
    return [this](std::span<const int32_t> text) { return Nats(text, with_long); };
  }
  NatsOf Short() {
    return [this](std::span<const int32_t> text) {
      windows.emplace_back(text.begin(), text.end());
      return Nats(text, with_short);
    };
  }

 private:
  static std::optional<std::vector<double>> Nats(std::span<const int32_t> text,
                                                 const std::map<int32_t, double>& known) {
    std::vector<double> nats;
    for (int32_t id : text.subspan(1)) nats.push_back(known.contains(id) ? known.at(id) : 3);
    return nats;
  }
};

std::vector<int32_t> Ids(int32_t count) {
  std::vector<int32_t> ids;
  for (int32_t i = 0; i < count; ++i) ids.push_back(i);
  return ids;
}

const std::vector<int32_t> kPrefix = {0};

TEST(KeyTokens, AreThoseWhoseLossALongContextLowersToSomethingLikely) {
  FakeReference reference;
  reference.with_long = {{6, 0.5}, {7, 1.1}, {8, 2.1}, {10, 0.5}, {3, 0.1}};
  reference.with_short = {{10, 2.4}, {3, 9}};
  // 6: 3 - 0.5 > 2. 7: saves only 1.9. 8: saves 0.9. 10: saves 1.9. 3: within the short context.
  const auto key = KeyTokens(Ids(12), kPrefix, 5, {2, -2}, reference.Long(), reference.Short());
  EXPECT_THAT(*key, ElementsAre(0, 0, 0, 0, 0, 0, 1, 0, 0, 0, 0, 0));
  const auto more = KeyTokens(Ids(12), kPrefix, 5, {0.8, -2}, reference.Long(), reference.Short());
  EXPECT_THAT(*more, ElementsAre(0, 0, 0, 0, 0, 0, 1, 1, 0, 0, 1, 0));
  const auto likely =
      KeyTokens(Ids(12), kPrefix, 5, {0.8, -1}, reference.Long(), reference.Short());
  EXPECT_THAT(*likely, ElementsAre(0, 0, 0, 0, 0, 0, 1, 0, 0, 0, 1, 0));
}

TEST(KeyTokens, EveryTokenBeyondTheWindowIsScoredOnceWithTheIdsJustBeforeIt) {
  for (const int32_t window : {2, 3, 4, 7, 16}) {
    for (const int32_t count : {17, 18, 19, 40}) {
      FakeReference reference;
      for (int32_t i = 0; i < count; ++i) {
        reference.with_long[i] = 0;
        reference.with_short[i] = i % 3 == 0 ? 5 : 1;
      }
      const auto key =
          *KeyTokens(Ids(count), kPrefix, window, {2, -2}, reference.Long(), reference.Short());
      for (int32_t i = 0; i < count; ++i) {
        EXPECT_EQ(key[static_cast<size_t>(i)], i >= window && i % 3 == 0) << i;
      }
      for (const auto& text : reference.windows) {
        ASSERT_EQ(text.size(), static_cast<size_t>(window));
        EXPECT_EQ(text[0], 0);
        for (size_t i = 2; i < text.size(); ++i) EXPECT_EQ(text[i], text[i - 1] + 1);
        EXPECT_GT(text[1], 0);
      }
      EXPECT_EQ(reference.windows.back().back(), count - 1);
    }
  }
}

TEST(KeyTokens, NothingIsKeyWhereALossIsNotANumber) {
  FakeReference reference;
  reference.with_long = {{6, std::nan("")}, {7, 0}};
  reference.with_short = {{7, std::nan("")}};
  const auto key = KeyTokens(Ids(9), kPrefix, 5, {2, -2}, reference.Long(), reference.Short());
  EXPECT_THAT(*key, ElementsAre(0, 0, 0, 0, 0, 0, 0, 0, 0));
}

TEST(KeyTokens, AStopInEitherContextIsAStop) {
  FakeReference reference;
  const NatsOf stopped = [](std::span<const int32_t>) { return std::nullopt; };
  EXPECT_FALSE(KeyTokens(Ids(9), kPrefix, 5, {2, -2}, stopped, reference.Short()).has_value());
  EXPECT_FALSE(KeyTokens(Ids(9), kPrefix, 5, {2, -2}, reference.Long(), stopped).has_value());
}

TEST(TailTokens, BeginAtTheWindow) {
  EXPECT_THAT(TailTokens(5, 3), ElementsAre(0, 0, 0, 1, 1));
  EXPECT_THAT(TailTokens(2, 3), ElementsAre(0, 0));
}

}  // namespace
}  // namespace longrope
