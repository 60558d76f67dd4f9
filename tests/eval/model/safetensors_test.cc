#include "eval/model/safetensors.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/resource.h>

#include "tests/support/refusal.h"
#include "tests/support/safetensors_writer.h"
#include "tests/support/temp_folder.h"

namespace longrope {
namespace {

using ::testing::AllOf;
using testing::FloatBytes;
using ::testing::HasSubstr;
using testing::RefusalOf;
using testing::SafetensorsBytes;
using ::testing::StartsWith;
using testing::TempFolder;

std::string RefusalOfBytes(const std::string& bytes) {
  const TempFolder folder;
  const auto path = folder.path() / "x.safetensors";
  testing::WriteFile(path, bytes);
  const std::string refusal = RefusalOf([&] { SafetensorsFile file(path); });
  EXPECT_THAT(refusal, StartsWith(path.string() + ": "));
  return refusal;
}

// A header of one tensor `t` over `bytes` bytes of data.
std::string OneTensor(const std::string& entry, size_t bytes) {
  return SafetensorsBytes("{\"t\":" + entry + "}", std::string(bytes, 'x'));
}

std::string Entry(const std::string& dtype, const std::string& shape, const std::string& offsets) {
  return R"({"dtype":")" + dtype + R"(","shape":)" + shape + R"(,"data_offsets":)" + offsets + "}";
}

TEST(Safetensors, ReadsWhatWasWritten) {
  const TempFolder folder;
  const auto path = folder.path() / "x.safetensors";
  testing::WriteFile(path, SafetensorsBytes({{"b", "F32", {2, 1}, FloatBytes({1.5f, -2})},
                                             {"a", "BF16", {3}, "abcdef"},
                                             {"c", "I64", {1}, "12345678"}}));
  const SafetensorsFile file(path);
  ASSERT_EQ(file.tensors().size(), 3u);
  const StoredTensor& a = file.tensors().at("a");
  EXPECT_EQ(a.dtype, "BF16");
  EXPECT_EQ(a.shape, std::vector<int64_t>{3});
  EXPECT_EQ(std::string(reinterpret_cast<const char*>(a.bytes.data()), a.bytes.size()), "abcdef");
  EXPECT_EQ(file.tensors().at("b").shape, (std::vector<int64_t>{2, 1}));
  EXPECT_EQ(file.tensors().at("c").bytes.size(), 8u);
}

TEST(Safetensors, ScalarsEmptyTensorsAndMetadataAreLegal) {
  const TempFolder folder;
  const auto path = folder.path() / "x.safetensors";
  testing::WriteFile(path,
                     SafetensorsBytes(R"({"__metadata__":{"format":"pt"},)"
                                      R"("s":{"dtype":"F32","shape":[],"data_offsets":[0,4]},)"
                                      R"("e":{"dtype":"F16","shape":[3,0],"data_offsets":[0,0]},)"
                                      R"("z":{"dtype":"F16","shape":[0],"data_offsets":[4,4]}}   )",
                                      "abcd"));
  const SafetensorsFile file(path);
  EXPECT_EQ(file.tensors().size(), 3u);
  EXPECT_EQ(file.tensors().at("s").bytes.size(), 4u);
  EXPECT_TRUE(file.tensors().at("e").bytes.empty());
  testing::WriteFile(path, SafetensorsBytes("{}", ""));
  EXPECT_TRUE(SafetensorsFile(path).tensors().empty());
}

TEST(Safetensors, RefusesHeadersLongerThanFileOrLimit) {
  for (uint64_t length : {uint64_t{3}, uint64_t{100'000'000}, uint64_t{100'000'001},
                          uint64_t{1} << 61, UINT64_MAX - 7, UINT64_MAX}) {
    EXPECT_THAT(RefusalOfBytes(SafetensorsBytes(length, "{}", "")),
                AllOf(HasSubstr("header of " + std::to_string(length) + " bytes does not fit"),
                      HasSubstr("the file has 10 bytes")));
  }
}

TEST(Safetensors, RefusesAHeaderOverTheLimitThoughTheFileHoldsIt) {
  const TempFolder folder;
  const auto path = folder.path() / "x.safetensors";
  testing::WriteFile(path, SafetensorsBytes(100'000'001, "{}", ""));
  std::filesystem::resize_file(path, 100'000'100);  // sparse
  EXPECT_THAT(RefusalOf([&] { SafetensorsFile file(path); }),
              HasSubstr("a header at most 100000000"));
}

TEST(Safetensors, RefusesAFileCutAtAnyLength) {
  const std::string whole =
      SafetensorsBytes({{"a", "F32", {2}, FloatBytes({1, 2})}, {"b", "F16", {3, 1}, "abcdef"}});
  for (size_t length = 0; length < whole.size(); ++length) {
    EXPECT_NE(RefusalOfBytes(whole.substr(0, length)), "") << "cut to " << length;
  }
}

TEST(Safetensors, RefusesAHeaderThatIsOneByteOff) {
  const std::string header = R"({"t":{"dtype":"U8","shape":[4],"data_offsets":[0,4]}})";
  EXPECT_THAT(RefusalOfBytes(SafetensorsBytes(header.size() - 1, header, "abcd")),
              HasSubstr("not valid JSON"));
  EXPECT_THAT(RefusalOfBytes(SafetensorsBytes(header.size() + 1, header, "abcd")),
              HasSubstr("not valid JSON"));
}

TEST(Safetensors, RefusesRangesThatDoNotCoverTheDataOnce) {
  const auto two = [](const char* first, const char* second) {
    return RefusalOfBytes(SafetensorsBytes(
        "{\"a\":" + Entry("U8", "[4]", first) + ",\"b\":" + Entry("U8", "[4]", second) + "}",
        "0123456789"));
  };
  EXPECT_THAT(two("[0,4]", "[2,6]"), HasSubstr("overlap or leave a hole at data offset 4"));
  EXPECT_THAT(two("[0,4]", "[0,4]"), HasSubstr("overlap or leave a hole at data offset 4"));
  EXPECT_THAT(two("[0,4]", "[6,10]"), HasSubstr("overlap or leave a hole at data offset 4"));
  EXPECT_THAT(two("[1,5]", "[5,9]"), HasSubstr("overlap or leave a hole at data offset 0"));
  EXPECT_THAT(two("[4,8]", "[0,4]"), HasSubstr("2 bytes after the last tensor"));
  EXPECT_THAT(RefusalOfBytes(SafetensorsBytes("{}", "x")),
              HasSubstr("1 bytes after the last tensor"));
}

TEST(Safetensors, RefusesAnEmptyTensorInsideAnother) {
  EXPECT_THAT(RefusalOfBytes(SafetensorsBytes("{\"a\":" + Entry("U8", "[4]", "[0,4]") +
                                                  ",\"b\":" + Entry("U8", "[0]", "[2,2]") + "}",
                                              "0123")),
              HasSubstr("overlap"));
}

TEST(Safetensors, RefusesOffsetsOutsideTheFileByTensor) {
  for (const char* offsets :
       {"[0,9]", "[4,0]", "[-4,4]", "[0,18446744073709551615]", "[0,9223372036854775807]", "[0]",
        "[0,4,8]", "[]", "null", "\"04\"", "[0.0,8.0]", "[0,1e1]", "{}", "[[0],[8]]"}) {
    EXPECT_THAT(RefusalOfBytes(OneTensor(Entry("F32", "[2]", offsets), 8)),
                HasSubstr(": t: data_offsets: "))
        << offsets;
  }
}

TEST(Safetensors, RefusesShapesThatAreNotTheRange) {
  for (const char* shape : {"[3]", "[1]", "[]", "[0]", "[2,2]", "[2,0]"}) {
    EXPECT_THAT(RefusalOfBytes(OneTensor(Entry("F32", shape, "[0,8]"), 8)),
                HasSubstr(": t: data_offsets: span 8 bytes, the shape needs "))
        << shape;
  }
  // 2^62 elements of 4 bytes wrap to 0, as 2^32 * 2^32 * 4 does, and 2^63 + 2 times 4 to 8.
  for (const char* shape : {"[4611686018427387904]", "[4294967296,4294967296]",
                            "[4611686018427387906]", "[2,4611686018427387905]"}) {
    EXPECT_THAT(RefusalOfBytes(OneTensor(Entry("F32", shape, "[0,8]"), 8)),
                HasSubstr(": t: shape: is too large"))
        << shape;
  }
  for (const char* shape :
       {"[-2]", "[2.0]", "[9223372036854775808]", "2", "null", "[\"2\"]", "[[2]]"}) {
    EXPECT_THAT(RefusalOfBytes(OneTensor(Entry("F32", shape, "[0,8]"), 8)),
                HasSubstr(": t: shape: "))
        << shape;
  }
}

TEST(Safetensors, RefusesUnknownDtypes) {
  for (const char* dtype : {"", "f32", "F4", "FLOAT", "I128"}) {
    EXPECT_THAT(RefusalOfBytes(OneTensor(Entry(dtype, "[2]", "[0,8]"), 8)),
                HasSubstr(": t: dtype: '" + std::string(dtype) + "' is not known"));
  }
  EXPECT_THAT(RefusalOfBytes(OneTensor(R"({"dtype":7,"shape":[2],"data_offsets":[0,8]})", 8)),
              HasSubstr(": t: dtype: expected a text"));
}

TEST(Safetensors, RefusesANameThatStandsTwice) {
  const std::string entry = Entry("U8", "[0]", "[0,0]");
  EXPECT_THAT(RefusalOfBytes(SafetensorsBytes("{\"t\":" + entry + ",\"t\":" + entry + "}", "")),
              HasSubstr("key 't' stands twice"));
  // The same name, written otherwise.
  EXPECT_THAT(
      RefusalOfBytes(SafetensorsBytes("{\"t\":" + entry + ",\"\\u0074\":" + entry + "}", "")),
      HasSubstr("key 't' stands twice"));
}

TEST(Safetensors, RefusesHeadersThatAreNoObjectOfObjects) {
  for (const char* header : {"", "[]", "null", "3", "\"t\"", "{\"t\":[]}", "{\"t\":null}",
                             "{\"t\":1}", "{", "{}}", "{} x", "{\"t\":{}}"}) {
    EXPECT_NE(RefusalOfBytes(SafetensorsBytes(header, "")), "") << header;
  }
}

TEST(Safetensors, RefusesTextThatIsNoJson) {
  const std::string entry = Entry("U8", "[0]", "[0,0]");
  for (const std::string& key :
       {std::string("\xff"), std::string("\xc0\xaf"), std::string("\xed\xa0\x80"),
        std::string("a\nb"), std::string("\\ud800"), std::string("\\udc00x"),
        std::string("\\ud800\\ud800"), std::string("a\0b", 3)}) {
    EXPECT_THAT(RefusalOfBytes(SafetensorsBytes("{\"" + key + "\":" + entry + "}", "")),
                HasSubstr("not valid JSON"));
  }
  // What stands behind a NUL is part of the header as well.
  EXPECT_THAT(RefusalOfBytes(SafetensorsBytes(std::string("{}\0,,,", 6), "")),
              HasSubstr("not valid JSON"));
}

TEST(Safetensors, MessagesStayOnOneLineWhateverTheNameOfATensor) {
  const std::string wrong = Entry("F33", "[0]", "[0,0]");
  EXPECT_THAT(RefusalOfBytes(SafetensorsBytes("{\"a\\nb\\u001b[2J\":" + wrong + "}", "")),
              HasSubstr("dtype"));
  EXPECT_THAT(RefusalOfBytes(SafetensorsBytes("{\"a\\nb\":" + wrong + ",\"a\\nb\":1}", "")),
              HasSubstr("stands twice"));
}

// Kilobytes this process has had at most.
int64_t PeakKilobytes() {
  rusage usage{};
  getrusage(RUSAGE_SELF, &usage);
  return usage.ru_maxrss;
}

// Deep nesting is refused where it begins: neither stack nor memory follow the file's size.
TEST(Safetensors, RefusesDeepNestingInBoundedMemory) {
  constexpr size_t kDepth = 20'000'000;
  std::string arrays = "{\"t\":", objects;
  arrays.append(kDepth, '[');
  objects.reserve(kDepth);
  while (objects.size() < kDepth) objects += "{\"a\":";
  for (const std::string& header : {arrays, objects}) {
    const TempFolder folder;
    const auto path = folder.path() / "x.safetensors";
    testing::WriteFile(path, SafetensorsBytes(header, ""));
    const int64_t before = PeakKilobytes();
    EXPECT_THAT(RefusalOf([&] { SafetensorsFile file(path); }), HasSubstr("nested deeper"));
    EXPECT_LE(PeakKilobytes() - before, 64 * 1024);
  }
}

TEST(Safetensors, RefusesFoldersAndFilesThatAreNotThere) {
  const TempFolder folder;
  EXPECT_THAT(RefusalOf([&] { SafetensorsFile file(folder.path()); }),
              HasSubstr(folder.path().string() + ": is not a regular file"));
  EXPECT_THAT(RefusalOf([&] { SafetensorsFile file(folder.path() / "none"); }),
              HasSubstr("none: cannot be opened: No such file"));
}

}  // namespace
}  // namespace longrope
