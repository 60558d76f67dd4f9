#include "eval/text/utf8.h"

#include <gtest/gtest.h>

#include <cstdint>
#include <string>

namespace longrope {
namespace {

constexpr size_t kValid = std::string_view::npos;

// Bytes of the code point that text starts with, by decoding it and looking at the number: 0 if it
// is not the one form that this number has. Nothing of FindInvalidUtf8's tables.
size_t Decoded(std::string_view text) {
  const auto at = [&](size_t i) { return static_cast<uint32_t>(static_cast<uint8_t>(text[i])); };
  size_t length = 1;
  uint32_t code = at(0);
  if (code >= 0x80) {
    if ((code & 0xe0) == 0xc0) {
      length = 2;
      code &= 0x1f;
    } else if ((code & 0xf0) == 0xe0) {
      length = 3;
      code &= 0x0f;
    } else if ((code & 0xf8) == 0xf0) {
      length = 4;
      code &= 0x07;
    } else {
      return 0;
    }
  }
  if (text.size() < length) return 0;
  for (size_t i = 1; i < length; ++i) {
    if ((at(i) & 0xc0) != 0x80) return 0;
    code = code << 6 | (at(i) & 0x3f);
  }
  const size_t shortest = code < 0x80 ? 1 : code < 0x800 ? 2 : code < 0x10000 ? 3 : 4;
  const bool surrogate = code >= 0xd800 && code <= 0xdfff;
  return length == shortest && !surrogate && code <= 0x10ffff ? length : 0;
}

size_t FirstInvalid(std::string_view text) {
  for (size_t at = 0; at < text.size();) {
    const size_t length = Decoded(text.substr(at));
    if (length == 0) return at;
    at += length;
  }
  return kValid;
}

std::string Encoded(uint32_t code) {
  const auto byte = [](uint32_t value) { return static_cast<char>(value); };
  if (code < 0x80) return {byte(code)};
  if (code < 0x800) return {byte(0xc0 | code >> 6), byte(0x80 | (code & 0x3f))};
  if (code < 0x10000) {
    return {byte(0xe0 | code >> 12), byte(0x80 | (code >> 6 & 0x3f)), byte(0x80 | (code & 0x3f))};
  }
  return {byte(0xf0 | code >> 18), byte(0x80 | (code >> 12 & 0x3f)),
          byte(0x80 | (code >> 6 & 0x3f)), byte(0x80 | (code & 0x3f))};
}

TEST(Utf8, TakesEveryCodePointButSurrogates) {
  for (uint32_t code = 0; code <= 0x110400; ++code) {
    const bool valid = code <= 0x10ffff && (code < 0xd800 || code > 0xdfff);
    ASSERT_EQ(FindInvalidUtf8(Encoded(code)), valid ? kValid : 0) << std::hex << code;
  }
}

TEST(Utf8, JudgesEveryPairAndTripleOfBytesAsADecoderDoes) {
  std::string text(3, '\0');
  for (int lead = 0; lead < 256; ++lead) {
    text[0] = static_cast<char>(lead);
    for (int second = 0; second < 256; ++second) {
      text[1] = static_cast<char>(second);
      const std::string_view pair(text.data(), 2);
      ASSERT_EQ(FindInvalidUtf8(pair), FirstInvalid(pair)) << lead << " " << second;
      for (int third = 0; third < 256; ++third) {
        text[2] = static_cast<char>(third);
        ASSERT_EQ(FindInvalidUtf8(text), FirstInvalid(text))
            << lead << " " << second << " " << third;
      }
    }
  }
}

TEST(Utf8, JudgesFourBytesAsADecoderDoes) {
  const int edges[] = {0x00, 0x41, 0x7f, 0x80, 0x81, 0x8f, 0x90, 0x9f, 0xa0, 0xaf,
                       0xb0, 0xbe, 0xbf, 0xc0, 0xc2, 0xe0, 0xf0, 0xf4, 0xff};
  std::string text(5, 'z');
  for (int lead = 0xe0; lead < 256; ++lead) {
    text[0] = static_cast<char>(lead);
    for (int second = 0; second < 256; ++second) {
      text[1] = static_cast<char>(second);
      for (int third : edges) {
        text[2] = static_cast<char>(third);
        for (int fourth : edges) {
          text[3] = static_cast<char>(fourth);
          ASSERT_EQ(FindInvalidUtf8(text), FirstInvalid(text))
              << lead << " " << second << " " << third << " " << fourth;
        }
      }
    }
  }
}

TEST(Utf8, SaysWhereASequenceIsCutOffOrBroken) {
  EXPECT_EQ(FindInvalidUtf8(""), kValid);
  EXPECT_EQ(FindInvalidUtf8(std::string("a\0b", 3)), kValid);
  EXPECT_EQ(FindInvalidUtf8("\xef\xbb\xbftext"), kValid);  // a byte order mark
  EXPECT_EQ(FindInvalidUtf8("abc\x80"), 3u);
  EXPECT_EQ(FindInvalidUtf8("\xc3\xa9\xc3"), 2u);
  for (const char* whole : {"\xc3\xa9", "\xe2\x82\xac", "\xf0\x9f\x98\x80"}) {
    for (size_t cut = 1; cut < std::string_view(whole).size(); ++cut) {
      EXPECT_EQ(FindInvalidUtf8("xy" + std::string(whole, cut)), 2u);
      EXPECT_EQ(FindInvalidUtf8("xy" + std::string(whole, cut) + "z"), 2u);
    }
  }
}

}  // namespace
}  // namespace longrope
