#include "eval/storage/sealed_file.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "eval/errors.h"
#include "eval/storage/digest.h"
#include "tests/support/refusal.h"

namespace longrope {
namespace {

using testing::RefusalOf;
using ::testing::StartsWith;

constexpr uint32_t kVersion = 3;

bool IsRefused(const std::string& sealed) {
  try {
    Unseal(sealed, kVersion, "file");
  } catch (const InputError&) {
    return true;
  }
  return false;
}

TEST(SealedFile, ComesBackAsItWas) {
  for (const std::string& bytes : {std::string(), std::string(1, '\0'), std::string("some state\n"),
                                   std::string(70'000, 'x')}) {
    const std::string sealed = Seal(bytes, kVersion);
    EXPECT_EQ(sealed.size(), bytes.size() + 64);
    EXPECT_EQ(sealed.substr(0, bytes.size()), bytes);
    EXPECT_EQ(Unseal(sealed, kVersion, "file"), bytes);
    EXPECT_EQ(Seal(bytes, kVersion), sealed);
  }
}

TEST(SealedFile, TrailerIsLaidOutAsOtherToolsMayReadIt) {
  const std::string sealed = Seal("abc", 0x01020304);
  const std::string trailer = sealed.substr(3);
  EXPECT_EQ(trailer.substr(0, 16), std::string("LONGROPE-SEAL\0\0\0", 16));
  EXPECT_EQ(trailer.substr(16, 4), "\x04\x03\x02\x01");
  EXPECT_EQ(trailer.substr(20, 4), std::string("\x40\0\0\0", 4));
  EXPECT_EQ(trailer.substr(24, 8), std::string("\x03\0\0\0\0\0\0\0", 8));
  Sha256 hash;
  hash.Add(sealed.substr(0, 3 + 32));
  const auto digest = hash.Finish();
  EXPECT_EQ(trailer.substr(32), std::string(digest.begin(), digest.end()));
}

TEST(SealedFile, RefusesEveryBitFlipped) {
  const std::string whole = Seal("a small state, 48 bytes long, with a \0 and so on", kVersion);
  for (size_t bit = 0; bit < whole.size() * 8; ++bit) {
    std::string flipped = whole;
    flipped[bit / 8] = static_cast<char>(flipped[bit / 8] ^ (1 << bit % 8));
    EXPECT_TRUE(IsRefused(flipped)) << "bit " << bit;
  }
}

TEST(SealedFile, RefusesEveryTruncationAndEveryAddition) {
  const std::string whole = Seal(std::string(300, 's'), kVersion);
  ASSERT_FALSE(IsRefused(whole));
  for (size_t length = 0; length < whole.size(); ++length) {
    EXPECT_TRUE(IsRefused(whole.substr(0, length))) << "cut to " << length;
    EXPECT_TRUE(IsRefused(whole.substr(whole.size() - length))) << "last " << length;
  }
  EXPECT_TRUE(IsRefused(whole + '\0'));
  EXPECT_TRUE(IsRefused(whole + whole));
  EXPECT_TRUE(IsRefused(std::string(1000, '\0')));
}

TEST(SealedFile, RefusesAnotherVersionAndNamesTheFile) {
  const std::string sealed = Seal("state", kVersion);
  for (uint32_t version : {0u, kVersion - 1, kVersion + 1, UINT32_MAX}) {
    EXPECT_THAT(RefusalOf([&] { Unseal(sealed, version, "run/checkpoint.h5"); }),
                StartsWith("run/checkpoint.h5: is damaged or of another version"));
  }
  EXPECT_THAT(RefusalOf([&] { Unseal("", kVersion, "run/checkpoint.h5"); }),
              StartsWith("run/checkpoint.h5: is cut off (0 bytes)"));
}

}  // namespace
}  // namespace longrope
