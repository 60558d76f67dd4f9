#include "eval/storage/line_cache.h"

#include <gtest/gtest.h>

#include "tests/support/refusal.h"
#include "tests/support/temp_folder.h"

namespace longrope {
namespace {

using testing::SlurpFile;
using testing::TempFolder;
using testing::WriteFile;

LineCache Open(const TempFolder& folder) {
  return LineCache(FileSystem::Real(), folder / "lines.csv");
}

TEST(LineCache, KeepsValuesForTheNextProcess) {
  const TempFolder folder;
  {
    LineCache cache = Open(folder);
    cache.Add("a", "1,2");
    cache.Add("b", "");
    cache.Add("a", "other");  // is there
  }
  const LineCache cache = Open(folder);
  EXPECT_EQ(cache.size(), 2u);
  EXPECT_EQ(*cache.Find("a"), "1,2");
  EXPECT_EQ(*cache.Find("b"), "");
  EXPECT_EQ(cache.Find("c"), nullptr);
}

TEST(LineCache, AFileCutOffAnywhereLosesOnlyItsEnd) {
  const TempFolder folder;
  {
    LineCache cache = Open(folder);
    for (int i = 0; i < 3; ++i) cache.Add("k" + std::to_string(i), "value " + std::to_string(i));
  }
  const std::string whole = SlurpFile(folder / "lines.csv");
  const size_t second = whole.find('\n') + 1, third = whole.find('\n', second) + 1;
  for (size_t length = 0; length < whole.size(); ++length) {
    WriteFile(folder / "lines.csv", whole.substr(0, length));
    {
      LineCache cache = Open(folder);
      // A line is whole without its end, too: its check says so.
      const size_t lines =
          (length >= second - 1) + (length >= third - 1) + (length >= whole.size() - 1);
      EXPECT_EQ(cache.size(), lines) << length;
      for (size_t i = 0; i < lines; ++i) {
        EXPECT_EQ(*cache.Find("k" + std::to_string(i)), "value " + std::to_string(i));
      }
      cache.Add("new", "line");
    }
    EXPECT_EQ(*Open(folder).Find("new"), "line") << length;
  }
}

TEST(LineCache, AFlippedBitIsNeverAValue) {
  const TempFolder folder;
  Open(folder).Add("key", "1234.5678,2047");
  const std::string whole = SlurpFile(folder / "lines.csv");
  for (size_t at = 0; at + 1 < whole.size(); ++at) {
    for (int bit = 0; bit < 8; ++bit) {
      std::string flipped = whole;
      flipped[at] = static_cast<char>(flipped[at] ^ (1 << bit));
      WriteFile(folder / "lines.csv", flipped);
      EXPECT_EQ(Open(folder).size(), 0u) << at << " " << bit;
    }
  }
}

TEST(LineCache, AFolderThatCannotBeWrittenIsTold) {
  const TempFolder folder;
  LineCache cache(FileSystem::Real(), folder / "missing/lines.csv");
  EXPECT_REFUSED(cache.Add("k", "v"), "missing/lines.csv");
}

}  // namespace
}  // namespace longrope
