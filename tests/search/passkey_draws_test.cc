#include "search/passkey_draws.h"

#include <gtest/gtest.h>

#include <set>

namespace longrope {
namespace {

bool Equal(const PasskeyDraw& a, const PasskeyDraw& b) {
  return a.key == b.key && a.place == b.place;
}

TEST(DrawPasskeys, AreAFunctionOfSeedLengthAndNumberAlone) {
  const auto draws = DrawPasskeys(5, 4096, 10);
  ASSERT_EQ(draws.size(), 10u);
  const auto more = DrawPasskeys(5, 4096, 20);
  for (size_t i = 0; i < 10; ++i) EXPECT_TRUE(Equal(draws[i], more[i]));
  for (size_t i = 0; i < 10; ++i) {
    EXPECT_FALSE(Equal(draws[i], DrawPasskeys(6, 4096, 10)[i]));
    EXPECT_FALSE(Equal(draws[i], DrawPasskeys(5, 8192, 10)[i]));
    EXPECT_FALSE(Equal(draws[i], more[i + 10]));
  }
  // Numbers that were published with a seed must stay.
  EXPECT_EQ(DrawPasskeys(1, 256, 1)[0].key, 18966);
}

TEST(DrawPasskeys, AreUniformOverFiveDigitsAndPlaces) {
  const auto draws = DrawPasskeys(1, 256, 9000);
  std::set<int32_t> keys;
  std::vector<int> first_digit(10), tenth(10);
  for (const PasskeyDraw& draw : draws) {
    ASSERT_GE(draw.key, 10000);
    ASSERT_LE(draw.key, 99999);
    ASSERT_GE(draw.place, 0);
    ASSERT_LT(draw.place, 1);
    keys.insert(draw.key);
    ++first_digit[static_cast<size_t>(draw.key / 10000)];
    ++tenth[static_cast<size_t>(draw.place * 10)];
  }
  EXPECT_GT(keys.size(), 8000u);
  for (size_t i = 1; i < 10; ++i) EXPECT_NEAR(first_digit[i], 1000, 150);  // five deviations
  for (int count : tenth) EXPECT_NEAR(count, 900, 145);
}

}  // namespace
}  // namespace longrope
