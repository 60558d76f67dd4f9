#include "eval/storage/byte_source.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <vector>

#include "tests/support/archive_writer.h"
#include "tests/support/refusal.h"
#include "tests/support/temp_folder.h"

namespace longrope {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;
using testing::Packed;
using testing::Packing;
using testing::RefusalOf;
using ::testing::StartsWith;
using testing::TempFolder;
using testing::WriteFile;

// All that a file of these bytes holds, read in pieces of `step`.
std::string ReadAll(const std::filesystem::path& path, size_t step = 1000) {
  const auto source = OpenBytes(path);
  std::string all;
  std::vector<std::byte> piece(step);
  while (const size_t got = source->Read(piece)) {
    all.append(reinterpret_cast<const char*>(piece.data()), got);
  }
  EXPECT_EQ(source->Read(piece), 0u);
  EXPECT_EQ(source->position(), source->size());
  return all;
}

// Text that hardly compresses: blocks end in its middle.
std::string Noise(size_t bytes) {
  std::string text;
  for (uint32_t state = 1; text.size() < bytes;) {
    state = state * 1664525 + 1013904223;
    text += static_cast<char>('!' + (state >> 24) % 90);
  }
  return text;
}

struct Ending {
  const char* name;
  Packing packing;
};
constexpr Ending kEndings[] = {{"a.txt", Packing::kNone},
                               {"a.gz", Packing::kGzip},
                               {"a.tgz", Packing::kGzip},
                               {"a.zst", Packing::kZstd}};

TEST(ByteSource, GivesWhatTheFileHolds) {
  const TempFolder folder;
  for (const auto& [name, packing] : kEndings) {
    for (const std::string& text : {std::string(), std::string("x"), Noise(300'000)}) {
      WriteFile(folder / name, Packed(text, packing));
      for (size_t step : {1u, 1000u, 1u << 20}) {
        if (step == 1 && text.size() > 1000) continue;
        EXPECT_EQ(ReadAll(folder / name, step), text) << name << " by " << step;
      }
    }
  }
}

TEST(ByteSource, JoinsWhatWasPackedInParts) {
  const TempFolder folder;
  for (const auto& [name, packing] : kEndings) {
    WriteFile(folder / name,
              Packed("one\n", packing) + Packed("", packing) + Packed("two", packing));
    EXPECT_EQ(ReadAll(folder / name), "one\ntwo") << name;
  }
  WriteFile(folder / "a.gz", Packed("one", Packing::kGzip) + std::string(700, '\0'));
  EXPECT_EQ(ReadAll(folder / "a.gz"), "one");
}

TEST(ByteSource, RefusesWhatIsCutOffAtAnyByte) {
  const TempFolder folder;
  for (const auto& [name, packing] : kEndings) {
    if (packing == Packing::kNone) continue;
    const std::string whole = Packed(Noise(200), packing);
    const std::filesystem::path file = folder / name;
    for (size_t length = 0; length < whole.size(); ++length) {
      WriteFile(file, whole.substr(0, length));
      EXPECT_THAT(RefusalOf([&] { ReadAll(file); }), StartsWith(file.string())) << length;
    }
  }
}

TEST(ByteSource, RefusesDamage) {
  const TempFolder folder;
  const std::string text = Noise(100'000);
  std::string gzip = Packed(text, Packing::kGzip);
  const auto refusal = [&](const char* name, const std::string& bytes) {
    WriteFile(folder / name, bytes);
    return RefusalOf([&] { ReadAll(folder / name); });
  };
  EXPECT_THAT(refusal("a.gz", gzip + "junk"), HasSubstr("is damaged (incorrect header check)"));
  std::string spoilt = gzip;
  spoilt[spoilt.size() - 6] ^= 1;  // the check sum
  EXPECT_THAT(refusal("a.gz", spoilt), AllOf(HasSubstr("a.gz: is damaged (incorrect data check)"),
                                             HasSubstr("of its bytes")));
  spoilt = gzip;
  spoilt[spoilt.size() / 2] ^= 1;
  EXPECT_THAT(refusal("a.gz", spoilt), HasSubstr("is damaged"));
  EXPECT_THAT(refusal("a.zst", Packed(text, Packing::kZstd) + "junk"), HasSubstr("is damaged"));
  EXPECT_THAT(refusal("a.gz", text), HasSubstr("is damaged"));
  EXPECT_THAT(refusal("a.zst", text), HasSubstr("a.zst: is not zstd"));
  EXPECT_THAT(RefusalOf([&] { OpenBytes(folder / "none.gz"); }), HasSubstr("none.gz"));
  EXPECT_THAT(RefusalOf([&] { OpenBytes(folder.path()); }), HasSubstr("is not a regular file"));
}

}  // namespace
}  // namespace longrope
