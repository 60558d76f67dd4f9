#include "eval/storage/hdf5_file.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <chrono>
#include <cmath>
#include <cstring>
#include <limits>
#include <thread>

#include "eval/errors.h"
#include "eval/storage/sealed_file.h"
#include "tests/support/refusal.h"

namespace longrope {
namespace {

using ::testing::HasSubstr;
using testing::RefusalOf;
using ::testing::StartsWith;

const std::vector<int64_t> kIntegers = {1, -2, INT64_MAX, INT64_MIN, 0, 7};
const std::vector<double> kDoubles = {
    0.1, -0.0, 1e-310, 1e308, std::numeric_limits<double>::infinity(), -1};

std::string SampleFile() {
  Hdf5Writer writer;
  writer.Write("/top", std::span(kIntegers));
  writer.Write("/group/table", std::span(kDoubles), 2);
  writer.Write("/group/deep/er/table", std::span(kIntegers), 3);
  writer.Write("/group/text", "key: value\n\xc3\xa9");
  writer.Write("/group/none", std::span<const int64_t>());
  writer.Write("/group/nothing", std::span<const double>());
  writer.Write("/empty text", "");
  return writer.Finish();
}

std::vector<uint64_t> Bits(const std::vector<double>& values) {
  std::vector<uint64_t> bits(values.size());
  std::memcpy(bits.data(), values.data(), values.size() * sizeof(double));
  return bits;
}

TEST(Hdf5File, ComesBackAsItWasWritten) {
  const Hdf5Reader reader(SampleFile(), "file");
  EXPECT_EQ(reader.Integers("/top"), kIntegers);
  EXPECT_EQ(Bits(reader.Doubles("/group/table")), Bits(kDoubles));
  EXPECT_EQ(reader.Integers("/group/deep/er/table"), kIntegers);
  EXPECT_EQ(reader.Text("/group/text"), "key: value\n\xc3\xa9");
  EXPECT_TRUE(reader.Integers("/group/none").empty());
  EXPECT_TRUE(reader.Doubles("/group/nothing").empty());
  EXPECT_EQ(reader.Text("/empty text"), "");
}

TEST(Hdf5File, KeepsShortIntegersOverSeveralChunks) {
  std::vector<int32_t> values((size_t{64} << 20) / sizeof(int32_t) + 3);  // more than one chunk
  for (size_t i = 0; i < values.size(); ++i) values[i] = static_cast<int32_t>(i * 2654435761u);
  Hdf5Writer file;
  file.Write("/ids", std::span<const int32_t>(values));
  file.Write("/wide", std::span<const int64_t>());
  const Hdf5Reader reader(file.Finish(), "f");
  EXPECT_TRUE(reader.ShortIntegers("/ids") == values);
  EXPECT_REFUSED(reader.ShortIntegers("/wide"), "f: dataset /wide has an unexpected type");
  EXPECT_REFUSED(reader.Integers("/ids"), "unexpected type");
}

TEST(Hdf5File, KeepsTheBitsOfNaN) {
  const std::vector<double> values = {std::nan("77"), -std::nan("")};
  Hdf5Writer writer;
  writer.Write("/x", std::span(values));
  EXPECT_EQ(Bits(Hdf5Reader(writer.Finish(), "file").Doubles("/x")), Bits(values));
}

TEST(Hdf5File, ReadsItsFileWithASealBehindIt) {
  const Hdf5Reader reader(Seal(SampleFile(), 1), "file");
  EXPECT_EQ(reader.Integers("/top"), kIntegers);
  EXPECT_EQ(reader.Integers("/group/deep/er/table"), kIntegers);
}

TEST(Hdf5File, EqualCallsGiveEqualBytes) {
  const std::string first = SampleFile();
  // Times are kept in whole seconds, where a library keeps them.
  std::this_thread::sleep_for(std::chrono::milliseconds(1100));
  EXPECT_EQ(SampleFile(), first);
}

TEST(Hdf5File, AnyDifferenceGivesOtherBytes) {
  const auto file = [](double value) {
    Hdf5Writer writer;
    writer.Write("/x", std::span<const double>(&value, 1));
    return writer.Finish();
  };
  EXPECT_NE(file(0.0), file(-0.0));
}

TEST(Hdf5File, HasSaysWhatIsThere) {
  const Hdf5Reader reader(SampleFile(), "file");
  for (const char* path :
       {"/top", "/group", "/group/table", "/group/deep/er/table", "/group/none", "/empty text"}) {
    EXPECT_TRUE(reader.Has(path)) << path;
  }
  for (const char* path :
       {"/none", "/none/at/all", "/group/tables", "/group/deep/table", "/top/below a dataset"}) {
    EXPECT_FALSE(reader.Has(path)) << path;
  }
}

TEST(Hdf5File, RefusesMissingDatasetsAndOtherTypesByName) {
  const Hdf5Reader reader(SampleFile(), "run/state.h5");
  EXPECT_THAT(RefusalOf([&] { reader.Integers("/none"); }),
              StartsWith("run/state.h5: dataset /none is missing"));
  EXPECT_THAT(RefusalOf([&] { reader.Text("/group/none/at all"); }), HasSubstr("is missing"));
  EXPECT_THAT(RefusalOf([&] { reader.Doubles("/top"); }),
              StartsWith("run/state.h5: dataset /top has an unexpected type"));
  EXPECT_THAT(RefusalOf([&] { reader.Integers("/group/table"); }), HasSubstr("unexpected type"));
  EXPECT_THAT(RefusalOf([&] { reader.Text("/group/table"); }), HasSubstr("unexpected type"));
  EXPECT_THAT(RefusalOf([&] { reader.Integers("/group/text"); }), HasSubstr("unexpected type"));
  EXPECT_THAT(RefusalOf([&] { reader.Integers("/group"); }), HasSubstr("/group"));
}

TEST(Hdf5File, RefusesBytesThatAreNoHdf5) {
  for (const std::string& bytes : {std::string(), std::string("text"), std::string(4096, '\0'),
                                   SampleFile().substr(0, 40), SampleFile().substr(8)}) {
    EXPECT_THAT(RefusalOf([&] { Hdf5Reader reader(bytes, "run/state.h5"); }),
                HasSubstr("run/state.h5: is not an HDF5 file"))
        << bytes.size();
  }
}

// The checksum of HDF5 itself, which other tools rely on: spoilt numbers are not handed out.
TEST(Hdf5File, RefusesNumbersThatWereSpoilt) {
  std::vector<double> values(64);
  for (size_t i = 0; i < values.size(); ++i) values[i] = 1.0 + static_cast<double>(i) / 3;
  Hdf5Writer writer;
  writer.Write("/x", std::span(values));
  std::string bytes = writer.Finish();
  const size_t at =
      bytes.find(std::string(reinterpret_cast<const char*>(&values[10]), sizeof(double)));
  ASSERT_NE(at, std::string::npos);
  bytes[at + 3] = static_cast<char>(bytes[at + 3] ^ 4);
  const Hdf5Reader reader(bytes, "run/state.h5");
  EXPECT_THAT(RefusalOf([&] { reader.Doubles("/x"); }),
              StartsWith("run/state.h5: dataset /x cannot be read"));
}

TEST(Hdf5File, SeveralAreReadAndWrittenAtTheSameTime) {
  const auto file = [](int64_t value) {
    Hdf5Writer writer;
    writer.Write("/x", std::span<const int64_t>(&value, 1));
    return writer.Finish();
  };
  const Hdf5Reader one(file(1), "one");
  const Hdf5Reader two(file(2), "two");
  Hdf5Writer first, second;
  first.Write("/a", std::span(kIntegers));
  second.Write("/b", std::span(kIntegers));
  EXPECT_EQ(one.Integers("/x"), std::vector<int64_t>{1});
  EXPECT_EQ(two.Integers("/x"), std::vector<int64_t>{2});
  const Hdf5Reader a(first.Finish(), "a"), b(second.Finish(), "b");
  EXPECT_TRUE(a.Has("/a") && !a.Has("/b"));
  EXPECT_TRUE(b.Has("/b") && !b.Has("/a"));
}

TEST(Hdf5File, AWriterThatIsNeverFinishedLeavesNothing) {
  {
    Hdf5Writer writer;
    writer.Write("/x", std::span(kIntegers));
  }
  Hdf5Writer writer;
  EXPECT_FALSE(Hdf5Reader(writer.Finish(), "file").Has("/x"));
}

TEST(Hdf5File, ALongDatasetComesBack) {
  std::vector<double> values(300'000);
  for (size_t i = 0; i < values.size(); ++i) values[i] = std::sqrt(static_cast<double>(i));
  Hdf5Writer writer;
  writer.Write("/a/b", std::span(values), 3);
  writer.Write("/c", "after it");
  const Hdf5Reader reader(writer.Finish(), "file");
  EXPECT_EQ(reader.Doubles("/a/b"), values);
  EXPECT_EQ(reader.Text("/c"), "after it");
}

}  // namespace
}  // namespace longrope
