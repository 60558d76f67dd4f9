#include "eval/text/unicode.h"

#include <gtest/gtest.h>

namespace longrope {
namespace {

TEST(Normalize, ComposesAndDecomposes) {
  EXPECT_EQ(Normalize("cafe\u0301 \u212b q\u0307\u0323", NormalForm::kNfc),
            "caf\u00e9 \u00c5 q\u0323\u0307");
  EXPECT_EQ(Normalize("\u00e9\ud55c", NormalForm::kNfd), "e\u0301\u1112\u1161\u11ab");
  EXPECT_EQ(Normalize("\ufb01", NormalForm::kNfkc), "fi");
  EXPECT_EQ(Normalize("", NormalForm::kNfc), "");
  EXPECT_EQ(Normalize(std::string("a\0e\u0301", 5), NormalForm::kNfc), std::string("a\0\u00e9", 4));
}

TEST(Normalize, ComposesAcrossMegabytes) {
  std::string text, composed;
  for (int i = 0; i < 600'000; ++i) {
    text += "e\u0301";
    composed += "\u00e9";
  }
  EXPECT_EQ(Normalize(text, NormalForm::kNfc), composed);
}

// In the square of the run it would be an hour.
TEST(Normalize, SortsARunOfMarksWithoutEnd) {
  std::string text = "a", sorted = "a";
  for (int i = 0; i < 300'000; ++i) text += "\u0308\u0323";
  for (int i = 0; i < 300'000; ++i) sorted += "\u0323";
  for (int i = 0; i < 300'000; ++i) sorted += "\u0308";
  EXPECT_EQ(Normalize(text, NormalForm::kNfd), sorted);
}

}  // namespace
}  // namespace longrope
