#include "eval/model/gguf_file.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <ctime>
#include <functional>

#include "tests/support/gguf_writer.h"
#include "tests/support/refusal.h"
#include "tests/support/safetensors_writer.h"
#include "tests/support/temp_folder.h"

namespace longrope {
namespace {

using ::testing::ElementsAre;
using testing::FloatBytes;
using testing::GgufArray;
using testing::GgufBytes;
using testing::GgufF32;
using testing::GgufFlag;
using testing::GgufFloats;
using testing::GgufI32s;
using testing::GgufText;
using testing::GgufTexts;
using testing::GgufToWrite;
using testing::GgufU32;
using ::testing::HasSubstr;
using testing::LittleEndian;
using testing::RefusalOf;
using testing::WriteFile;

// A small file of every kind of value, and two tensors.
GgufToWrite Sound() {
  GgufToWrite file;
  file.Set("general.architecture", GgufText("llama"));
  file.Set("count", GgufU32(7));
  file.Set("below", LittleEndian(uint32_t{5}) + LittleEndian(int32_t{-3}));
  file.Set("long", LittleEndian(uint32_t{10}) + LittleEndian(~uint64_t{0}));
  file.Set("half", GgufF32(0.5f));
  file.Set("double", LittleEndian(uint32_t{12}) + LittleEndian(0.25));
  file.Set("yes", GgufFlag(true));
  file.Set("texts", GgufTexts({"a", "", std::string("\0x", 2)}));
  file.Set("floats", GgufFloats({1.5f, -2.0f}));
  file.Set("ints", GgufI32s({1, 6, -1}));
  file.tensors.push_back({"matrix", {2, 3}, 0, FloatBytes({1, 2, 3, 4, 5, 6}), {}});
  file.tensors.push_back({"blocks", {3, 32}, 8, std::string(3 * 34, '\1'), {}});
  return file;
}

class GgufFileTest : public ::testing::Test {
 protected:
  GgufFile Open(const std::string& bytes) {
    WriteFile(folder_ / "m.gguf", bytes);
    return GgufFile(folder_ / "m.gguf");
  }
  // The refusal, which took less than 0.1 s of the processor.
  std::string Refusal(const std::string& bytes) {
    const std::clock_t begin = std::clock();
    const std::string refusal = RefusalOf([&] { Open(bytes); });
    EXPECT_LT(std::clock() - begin, CLOCKS_PER_SEC / 10);
    EXPECT_THAT(refusal, HasSubstr("m.gguf"));
    return refusal;
  }
  std::string Refusal(const std::function<void(GgufToWrite*)>& spoil) {
    GgufToWrite file = Sound();
    spoil(&file);
    return Refusal(GgufBytes(file));
  }

  testing::TempFolder folder_;
};

TEST_F(GgufFileTest, GivesEveryKindOfValue) {
  const GgufFile file = Open(GgufBytes(Sound()));
  const GgufValues& values = file.values();
  EXPECT_EQ(values.Text("general.architecture"), "llama");
  EXPECT_EQ(values.Integer("count", 0, 7), 7);
  EXPECT_EQ(values.Integer("below", -3, 7), -3);
  EXPECT_EQ(values.Number("count"), 7.0);
  EXPECT_EQ(values.Number("half"), 0.5);
  EXPECT_EQ(values.Number("double"), 0.25);
  EXPECT_EQ(values.Flag("yes"), true);
  EXPECT_THAT(*values.Texts("texts"), ElementsAre("a", "", std::string("\0x", 2)));
  EXPECT_THAT(*values.Floats("floats"), ElementsAre(1.5f, -2.0f));
  EXPECT_THAT(*values.Integers("ints", -1, 6), ElementsAre(1, 6, -1));
  EXPECT_EQ(values.Text("none"), std::nullopt);
  EXPECT_EQ(values.Texts("none"), std::nullopt);
  EXPECT_EQ(values.Keys().size(), 10u);
}

TEST_F(GgufFileTest, RefusesValuesOfAnotherTypeOrRangeByKey) {
  const GgufFile file = Open(GgufBytes(Sound()));
  const GgufValues& values = file.values();
  EXPECT_REFUSED(values.Text("count"), "m.gguf: count: expected a text");
  EXPECT_REFUSED(values.Flag("count"), "count: expected a flag");
  EXPECT_REFUSED(values.Number("yes"), "yes: expected a number");
  EXPECT_REFUSED(values.Number("long"), "long: expected a number");
  EXPECT_REFUSED(values.Integer("half", 0, 9), "half: expected a whole number");
  EXPECT_REFUSED(values.Integer("count", 0, 6), "count: 7; allowed: whole numbers from 0 to 6");
  EXPECT_REFUSED(values.Integer("long", 0, 6), "long: above 2^63");
  EXPECT_REFUSED(values.Texts("ints"), "ints: expected an array of texts");
  EXPECT_REFUSED(values.Texts("count"), "count: expected an array of texts");
  EXPECT_REFUSED(values.Floats("ints"), "ints: expected an array of float32");
  EXPECT_REFUSED(values.Integers("floats", 0, 9), "floats: expected an array of whole numbers");
  EXPECT_REFUSED(values.Integers("ints", 0, 9), "ints: element 2 is -1; allowed");
}

TEST_F(GgufFileTest, GivesTensorsRowMajorWithTheirBytes) {
  const GgufFile file = Open(GgufBytes(Sound()));
  const GgufTensor& matrix = file.tensors().at("matrix");
  EXPECT_EQ(matrix.dtype, DType::kF32);
  EXPECT_THAT(matrix.shape, ElementsAre(2, 3));
  EXPECT_EQ(std::memcmp(matrix.bytes.data(), FloatBytes({1, 2, 3, 4, 5, 6}).data(), 24), 0);
  const GgufTensor& blocks = file.tensors().at("blocks");
  EXPECT_EQ(blocks.dtype, DType::kQ8_0);
  EXPECT_THAT(blocks.shape, ElementsAre(3, 32));
  EXPECT_EQ(blocks.bytes.size(), 102u);
}

TEST_F(GgufFileTest, LoadsWhatIsLegalThoughUnusual) {
  GgufToWrite file = Sound();
  file.tensors.insert(file.tensors.begin(), {"none", {0, 3}, 0, "", {}});
  file.tensors.push_back({"last", {0}, 8, "", {}});
  file.Set("general.alignment", GgufU32(64));
  file.alignment = 64;
  file.version = 2;
  EXPECT_THAT(Open(GgufBytes(file)).tensors().at("none").shape, ElementsAre(0, 3));
  const std::string bytes = GgufBytes(Sound());
  // Without the last tensor's padding; with more behind it.
  EXPECT_EQ(Open(bytes.substr(0, bytes.size() - 26)).tensors().size(), 2u);
  EXPECT_EQ(Open(bytes + "more").tensors().size(), 2u);
  GgufToWrite vocabulary = Sound();
  vocabulary.tensors.clear();
  EXPECT_EQ(Open(GgufBytes(vocabulary)).values().Integer("count", 0, 9), 7);
}

TEST_F(GgufFileTest, RefusesOtherMagicAndVersions) {
  EXPECT_THAT(Refusal([](GgufToWrite* f) { f->magic = "GGML"; }), HasSubstr("not a GGUF file"));
  for (const uint32_t version : {0u, 1u, 4u, 0x03000000u}) {
    EXPECT_THAT(Refusal([&](GgufToWrite* f) { f->version = version; }),
                HasSubstr("version " + std::to_string(version)));
  }
  EXPECT_THAT(Refusal([](GgufToWrite* f) { f->version = 0x03000000; }), HasSubstr("big-endian"));
  EXPECT_THAT(Refusal(std::string()), HasSubstr("does not fit"));
}

TEST_F(GgufFileTest, RefusesCountsThatDoNotFit) {
  for (const uint64_t count : {uint64_t{13}, uint64_t{1} << 16, uint64_t{1} << 61, ~uint64_t{0}}) {
    EXPECT_NE(Refusal([&](GgufToWrite* f) { f->key_count = count; }), "");
    EXPECT_NE(Refusal([&](GgufToWrite* f) { f->tensor_count = count; }), "");
    if (count > 13) {
      EXPECT_NE(Refusal([&](GgufToWrite* f) { f->Set("a", GgufArray(0, count, "")); }), "");
      EXPECT_NE(Refusal([&](GgufToWrite* f) { f->Set("a", GgufArray(8, count, "")); }), "");
      EXPECT_NE(Refusal([&](GgufToWrite* f) { f->Set("a", GgufArray(12, count, "")); }), "");
    }
    EXPECT_NE(Refusal([&](GgufToWrite* f) {
                f->Set("text", LittleEndian(uint32_t{8}) + LittleEndian(count << 20 | 1 << 20));
              }),
              "");
  }
}

TEST_F(GgufFileTest, RefusesOtherTypesOfValues) {
  EXPECT_THAT(Refusal([](GgufToWrite* f) { f->Set("a", LittleEndian(uint32_t{13})); }),
              HasSubstr("value type 13; allowed: 0 to 12"));
  EXPECT_THAT(Refusal([](GgufToWrite* f) { f->Set("a", GgufArray(255, 0, "")); }),
              HasSubstr("value type 255"));
  EXPECT_THAT(Refusal([](GgufToWrite* f) { f->Set("a", GgufArray(9, 1, GgufArray(0, 0, ""))); }),
              HasSubstr("array of arrays"));
  EXPECT_THAT(Refusal([](GgufToWrite* f) { f->Set("a", LittleEndian(uint32_t{7}) + '\2'); }),
              HasSubstr("a flag of 2"));
}

TEST_F(GgufFileTest, RefusesKeysThatAreEmptyOrStandTwice) {
  EXPECT_THAT(Refusal([](GgufToWrite* f) { f->Set("", GgufU32(1)); }),
              HasSubstr("a key of 0 bytes"));
  EXPECT_THAT(Refusal([](GgufToWrite* f) { f->Set(std::string(65536, 'k'), GgufU32(1)); }),
              HasSubstr("a key of 65536 bytes"));
  EXPECT_THAT(Refusal([](GgufToWrite* f) { f->keys.push_back(f->keys[1]); }),
              HasSubstr("key 'count' stands twice"));
  EXPECT_LT(Refusal([](GgufToWrite* f) {
              f->keys.emplace_back(std::string(9999, 'k'), GgufU32(1));
              f->keys.push_back(f->keys.back());
            }).size(),
            400u);
}

TEST_F(GgufFileTest, RefusesOtherDimensions) {
  using Shape = std::vector<int64_t>;
  for (const Shape& shape : {Shape{}, Shape{1, 1, 1, 2, 3}}) {
    EXPECT_THAT(Refusal([&](GgufToWrite* f) { f->Tensor("matrix").shape = shape; }),
                HasSubstr("dimensions; allowed: 1 to 4"));
  }
  std::string bytes = GgufBytes(Sound());
  bytes.replace(bytes.find("matrix") + 6, 4, LittleEndian(~uint32_t{0}));
  EXPECT_THAT(Refusal(bytes), HasSubstr("4294967295 dimensions"));
  const int64_t large = int64_t{1} << 62;
  for (const Shape& shape : {Shape{large, 4}, Shape{-1}, Shape{2, large, 2, 2}, Shape{large},
                             Shape{int64_t{1} << 32, int64_t{1} << 31}}) {
    EXPECT_THAT(Refusal([&](GgufToWrite* f) { f->Tensor("matrix").shape = shape; }),
                HasSubstr("tensor matrix"));
  }
  EXPECT_THAT(Refusal([](GgufToWrite* f) {
                f->Tensor("blocks").shape = {32, 3};
              }),
              HasSubstr("not whole blocks of 32 (q8_0)"));
}

TEST_F(GgufFileTest, RefusesOtherTypesOfTensors) {
  EXPECT_THAT(Refusal([](GgufToWrite* f) { f->Tensor("matrix").type = 23; }),
              HasSubstr("tensor matrix is of type iq4_xs; allowed: f32, f16, bf16, q4_0, q4_1, "
                        "q5_0, q5_1, q8_0, q4_k, q5_k, q6_k"));
  for (const uint32_t type : {4u, 5u, 31u, 255u, ~0u}) {
    EXPECT_THAT(Refusal([&](GgufToWrite* f) { f->Tensor("matrix").type = type; }),
                HasSubstr("is of type " + std::to_string(type)));
  }
}

TEST_F(GgufFileTest, RefusesNamesThatAreEmptyLongOrStandTwice) {
  for (const size_t length : {size_t{0}, size_t{65}, size_t{100000}}) {
    EXPECT_THAT(Refusal([&](GgufToWrite* f) { f->tensors[0].name = std::string(length, 'n'); }),
                HasSubstr("a tensor's name"));
  }
  EXPECT_THAT(Refusal([](GgufToWrite* f) { f->tensors[1].name = "matrix"; }),
              HasSubstr("tensor matrix stands twice"));
}

TEST_F(GgufFileTest, RefusesTensorsThatDoNotFollowOneAnotherWithinTheFile) {
  for (const uint64_t offset : {uint64_t{0}, uint64_t{24}, uint64_t{64}, ~uint64_t{31}}) {
    EXPECT_THAT(Refusal([&](GgufToWrite* f) { f->Tensor("blocks").offset = offset; }),
                HasSubstr("tensor blocks stands at data offset " + std::to_string(offset) +
                          ", expected 32"));
  }
  const std::string bytes = GgufBytes(Sound());
  for (const size_t cut : {size_t{27}, size_t{60}, size_t{129}}) {
    EXPECT_THAT(Refusal(bytes.substr(0, bytes.size() - cut)), HasSubstr("ends beyond the file"));
  }
}

TEST_F(GgufFileTest, RefusesOtherAlignments) {
  for (const uint32_t alignment : {0u, 3u, 1u << 31, ~0u}) {
    EXPECT_THAT(Refusal([&](GgufToWrite* f) { f->Set("general.alignment", GgufU32(alignment)); }),
                HasSubstr("general.alignment: " + std::to_string(alignment)));
  }
  EXPECT_THAT(Refusal([](GgufToWrite* f) { f->Set("general.alignment", GgufText("32")); }),
              HasSubstr("general.alignment: expected a whole number"));
}

TEST_F(GgufFileTest, EveryTruncationAndBitFlipIsRefusedOrLoads) {
  const std::string sound = GgufBytes(Sound());
  int refused = 0, tried = 0;
  uint64_t read = 0;
  const auto attempt = [&](const std::string& bytes) {
    ++tried;
    try {
      const GgufFile file = Open(bytes);
      for (const auto& [name, tensor] : file.tensors()) {  // every byte can be read
        for (const std::byte byte : tensor.bytes) read += std::to_integer<uint64_t>(byte);
      }
      file.values().Texts("texts");
    } catch (const InputError&) {
      ++refused;
    }
  };
  for (size_t length = 0; length < sound.size(); length += 3) attempt(sound.substr(0, length));
  uint32_t state = 5;
  for (int i = 0; i < 2000; ++i) {
    std::string bytes = sound;
    for (int flip = 0; flip <= i % 3; ++flip) {
      state = state * 1664525u + 1013904223u;
      bytes[(state >> 8) % bytes.size()] ^= static_cast<char>(1 << (state >> 29));
    }
    attempt(bytes);
  }
  EXPECT_GT(refused, tried / 3);
  EXPECT_LT(refused, tried);
  EXPECT_GT(read, 0u);
}

class GgufPartsTest : public GgufFileTest {
 protected:
  std::filesystem::path Part(int part, int parts = 2) const {
    return folder_ /
           ("m-0000" + std::to_string(part) + "-of-0000" + std::to_string(parts) + ".gguf");
  }
  // The sound file's tensors in two parts; `spoil` changes them.
  std::string OpenParts(const std::function<void(GgufToWrite*, GgufToWrite*)>& spoil) {
    GgufToWrite first = Sound(), second;
    second.tensors.push_back(first.tensors[1]);
    first.tensors.pop_back();
    const auto u16 = [](uint16_t n) { return LittleEndian(uint32_t{2}) + LittleEndian(n); };
    first.Set("split.no", u16(0));
    second.Set("split.no", u16(1));
    for (GgufToWrite* file : {&first, &second}) {
      file->Set("split.count", u16(2));
      file->Set("split.tensors.count", LittleEndian(uint32_t{5}) + LittleEndian(int32_t{2}));
    }
    spoil(&first, &second);
    WriteFile(Part(1), GgufBytes(first));
    WriteFile(Part(2), GgufBytes(second));
    try {
      EXPECT_EQ(GgufFile(Part(1)).tensors().size(), 2u);
    } catch (const InputError& error) {
      return error.what();
    }
    return "";
  }
};

TEST_F(GgufPartsTest, AreOneFile) {
  EXPECT_EQ(OpenParts([](auto*, auto*) {}), "");
  const GgufFile file(Part(1));
  EXPECT_EQ(file.values().Integer("count", 0, 9), 7);
  EXPECT_EQ(file.tensors().at("blocks").bytes.size(), 102u);
  EXPECT_REFUSED(GgufFile(Part(2)), "this is part 2 of 2; open the first one");
  std::filesystem::rename(Part(1), folder_ / "m.gguf");
  EXPECT_REFUSED(GgufFile(folder_ / "m.gguf"), "NAME-00001-of-00002.gguf");
  std::filesystem::rename(folder_ / "m.gguf", Part(1));
  std::filesystem::remove(Part(2));
  EXPECT_REFUSED(GgufFile(Part(1)), "m-00002-of-00002.gguf");
}

TEST_F(GgufPartsTest, AreRefusedWhereTheyDoNotBelongTogether) {
  EXPECT_THAT(OpenParts([](auto*, auto* second) { second->Set("split.no", GgufU32(0)); }),
              HasSubstr("00002-of-00002.gguf: split.no: is not the name's, 1"));
  EXPECT_THAT(OpenParts([](auto*, auto* second) { second->Set("split.count", GgufU32(3)); }),
              HasSubstr("split.count: is not the first part's, 2"));
  EXPECT_THAT(OpenParts([](auto* first, auto*) { first->Set("split.count", GgufU32(3)); }),
              HasSubstr("split.count: 3; the first of so many parts must be called"));
  EXPECT_THAT(OpenParts([](auto*, auto* second) { second->tensors[0].name = "matrix"; }),
              HasSubstr("tensor matrix stands twice"));
  EXPECT_THAT(OpenParts([](auto* first, auto*) { first->Set("split.tensors.count", GgufU32(3)); }),
              HasSubstr("split.tensors.count: 3, but the parts hold 2"));
  EXPECT_THAT(OpenParts([](auto*, auto* second) { second->magic = "GGUA"; }),
              HasSubstr("00002-of-00002.gguf: byte 0: not a GGUF file"));
}

}  // namespace
}  // namespace longrope
