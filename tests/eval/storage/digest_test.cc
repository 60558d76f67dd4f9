#include "eval/storage/digest.h"

#include <gtest/gtest.h>

namespace longrope {
namespace {

// FIPS 180-4's own examples.
TEST(Sha256, GivesThePublishedDigests) {
  EXPECT_EQ(Sha256Hex(""), "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
  EXPECT_EQ(Sha256Hex("abc"), "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
  EXPECT_EQ(Sha256Hex(std::string(1'000'000, 'a')),
            "cdc76e5c9914fb9281a1c7e284d73e67f1809a48a497200e046d39ccc7112cd0");
}

TEST(Sha256, DoesNotDependOnHowBytesAreAdded) {
  const std::string text(1000, 'q');
  for (size_t piece : {1u, 7u, 64u, 999u}) {
    Sha256 hash;
    for (size_t at = 0; at < text.size(); at += piece) hash.Add(text.substr(at, piece));
    EXPECT_EQ(Hex(hash.Finish()), Sha256Hex(text)) << piece;
  }
}

}  // namespace
}  // namespace longrope
