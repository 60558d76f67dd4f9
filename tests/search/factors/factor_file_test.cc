#include "search/factors/factor_file.h"

#include <gtest/gtest.h>

#include <cmath>
#include <cstring>
#include <random>

#include "eval/number_text.h"
#include "search/factors/longrope_csv.h"
#include "tests/support/refusal.h"
#include "tests/support/temp_folder.h"

namespace longrope {
namespace {

FactorFile Parse(const std::string& text) { return ParseFactorFile(text, "f.json"); }

FileBucket Bucket(int64_t length, std::vector<float> lambda, int64_t start, double m,
                  const char* policy) {
  FileBucket bucket;
  bucket.length = length;
  bucket.factors.lambda = std::move(lambda);
  bucket.factors.start_tokens = start;
  bucket.factors.attention_factor = m;
  bucket.attention_policy = policy;
  return bucket;
}

FactorFile Full() {
  FactorFile file;
  file.original_length = 4096;
  file.rope_base = 10000;
  file.head_dim = 8;
  file.buckets.push_back(Bucket(32768, {1, 1.01f, 3.3333333f, 8}, 4, 1.1, "longrope"));
  file.buckets.push_back(Bucket(131072, {1, 1.5f, 16.7f, 31.99f}, 0, 1.1902380714238083, "number"));
  file.provenance["model_digest"] = "ab";
  file.provenance["scores"] = {{"s", {{"fitness", 1.5}, {"held_out", nullptr}}}};
  return file;
}

TEST(FactorFile, ReadsBackWhatWasWritten) {
  const FactorFile file = Full(), read = Parse(WriteFactorFile(file));
  EXPECT_EQ(read.original_length, file.original_length);
  EXPECT_EQ(read.rope_base, file.rope_base);
  EXPECT_EQ(read.head_dim, file.head_dim);
  EXPECT_EQ(read.provenance, file.provenance);
  ASSERT_EQ(read.buckets.size(), 2u);
  for (size_t i = 0; i < 2; ++i) {
    EXPECT_EQ(read.buckets[i].length, file.buckets[i].length);
    EXPECT_EQ(read.buckets[i].factors, file.buckets[i].factors);
    EXPECT_EQ(read.buckets[i].attention_policy, file.buckets[i].attention_policy);
  }
  EXPECT_EQ(WriteFactorFile(read), WriteFactorFile(file));
}

TEST(FactorFile, Float32SurvivesBothFormatsToTheLastBit) {
  std::mt19937 random(3);
  RopeFactors factors;
  while (factors.lambda.size() < 20'000) {
    const auto bits = static_cast<uint32_t>(random());
    float value = 0;
    std::memcpy(&value, &bits, sizeof value);
    if (value >= 1e-3f && value <= 1e6f) factors.lambda.push_back(value);
  }
  FactorFile file;
  file.buckets.push_back(Bucket(0, factors.lambda, 0, 1, ""));
  EXPECT_EQ(Parse(WriteFactorFile(file)).Longest().factors.lambda, factors.lambda);
  EXPECT_EQ(ParseLongropeCsv(WriteLongropeCsv(factors), "c").Longest().factors.lambda,
            factors.lambda);
  for (float value : factors.lambda) {
    EXPECT_EQ(static_cast<float>(ShortestDecimal(value)), value);
    EXPECT_LE(FloatText(value).size(), 14u);
  }
  EXPECT_EQ(FloatText(1.1f), "1.1");
  EXPECT_EQ(FloatText(8), "8");
}

TEST(FactorFile, LambdaAloneIsEnough) {
  const FactorFile file = Parse(R"({"lambda": [1, 2, 4]})");
  EXPECT_EQ(file.Longest().factors, (RopeFactors{{1, 2, 4}, 0, 1}));
  EXPECT_EQ(file.Longest().length, 0);
  EXPECT_EQ(file.original_length, 0);
  EXPECT_EQ(file.head_dim, 0);
  EXPECT_EQ(file.Set().For(1).lambda, (std::vector<float>{1, 2, 4}));
  EXPECT_EQ(file.Set().For(1 << 30).lambda, (std::vector<float>{1, 2, 4}));
}

TEST(FactorFile, TextsBeyondABucketTakeTheNextAndBeyondAllTheLast) {
  const FactorSet set = Parse(R"({"lambda": [4], "buckets": [
      {"length": 100, "lambda": [2], "start_tokens": 4}, {"length": 200, "lambda": [4]}]})")
                            .Set();
  EXPECT_EQ(set.For(1).lambda[0], 2);
  EXPECT_EQ(set.For(100).start_tokens, 4);
  EXPECT_EQ(set.For(101).lambda[0], 4);
  EXPECT_EQ(set.For(101).start_tokens, 0);
  EXPECT_EQ(set.For(200).lambda[0], 4);
  EXPECT_EQ(set.For(int64_t{1} << 40).lambda[0], 4);
}

TEST(FactorFile, WhatIsWrongIsRefusedByKey) {
  const auto with = [](const std::string& more) {
    return Parse("{\"lambda\": [1, 2], " + more + "}");
  };
  EXPECT_REFUSED(Parse("{}"), "f.json: lambda: missing");
  EXPECT_REFUSED(Parse("[]"), "f.json: ");
  EXPECT_REFUSED(Parse(""), "f.json: not valid JSON");
  EXPECT_REFUSED(Parse("{\"lambda\": [1, 2]"), "f.json: not valid JSON");
  EXPECT_REFUSED(Parse(R"({"lambda": [1], "lambda": [2]})"), "stands twice");
  EXPECT_REFUSED(Parse(R"({"lambda": []})"), "lambda");
  EXPECT_REFUSED(Parse(R"({"lambda": null})"), "lambda");
  EXPECT_REFUSED(Parse(R"({"lambda": [1, "2"]})"), "lambda: element 1 is not a number");
  EXPECT_REFUSED(Parse(R"({"lambda": [1, null]})"), "element 1");
  EXPECT_REFUSED(Parse(R"({"lambda": [1, NaN]})"), "not valid JSON");
  EXPECT_REFUSED(Parse(R"({"lambda": [1, 1e400]})"), "f.json: ");
  for (const char* bad : {"0", "-1", "0.0009", "1000001", "1e300"}) {
    EXPECT_REFUSED(Parse(std::string("{\"lambda\": [1, ") + bad + "]}"), "0.001 to 1000000");
  }
  EXPECT_REFUSED(with("\"lamda\": [1]"), "lamda: no such key; allowed: lambda");
  EXPECT_REFUSED(with("\"start_tokens\": -1"), "start_tokens");
  EXPECT_REFUSED(with("\"start_tokens\": 0.5"), "start_tokens");
  EXPECT_REFUSED(with("\"attention_factor\": 0.09"), "attention_factor");
  EXPECT_REFUSED(with("\"attention_factor\": 10.5"), "attention_factor");
  EXPECT_REFUSED(with("\"attention_factor\": \"1\""), "attention_factor");
  EXPECT_REFUSED(with("\"attention_policy\": 1"), "attention_policy");
  EXPECT_REFUSED(with("\"original_length\": 0"), "original_length");
  EXPECT_REFUSED(with("\"target_length\": 1e11"), "target_length");
  EXPECT_REFUSED(with("\"rope_base\": -10000"), "rope_base");
  EXPECT_REFUSED(with("\"rope_base\": 1"), "rope_base");
  EXPECT_REFUSED(with("\"rope_base\": \"1e4\""), "rope_base");
  EXPECT_REFUSED(with("\"head_dim\": 6"), "lambda: has 2 elements; head_dim asks for 3");
  EXPECT_REFUSED(with("\"head_dim\": 5"), "lambda: has 2 elements");
  EXPECT_NO_THROW(with("\"head_dim\": 4"));
}

TEST(FactorFile, BucketsThatDoNotFitAreRefused) {
  const auto with = [](const std::string& buckets) {
    return Parse("{\"lambda\": [1, 2], \"buckets\": " + buckets + "}");
  };
  EXPECT_REFUSED(with("[]"), "buckets");
  EXPECT_REFUSED(with("{}"), "buckets");
  EXPECT_REFUSED(with("[5]"), "buckets[0]");
  EXPECT_REFUSED(with(R"([{"lambda": [1, 2]}])"), "buckets[0]: length");
  EXPECT_REFUSED(with(R"([{"length": 5}])"), "buckets[0]: lambda");
  EXPECT_REFUSED(with(R"([{"length": 5, "lambda": [1, 2], "seed": 1}])"), "seed: no such key");
  EXPECT_REFUSED(with(R"([{"length": 5, "lambda": [1, 2]}, {"length": 5, "lambda": [1, 2]}])"),
                 "buckets[1]: length: must be there and increase");
  EXPECT_REFUSED(with(R"([{"length": 5, "lambda": [1, 2]}, {"length": 6, "lambda": [1]}])"),
                 "buckets[1]: lambda");
  EXPECT_REFUSED(Parse(R"({"lambda": [1, 2], "head_dim": 4, "buckets": [
                           {"length": 5, "lambda": [1, 2, 3]}]})"),
                 "head_dim");
}

TEST(FactorFile, MadeForAnotherModelIsRefused) {
  const FactorFile file = Full();
  EXPECT_NO_THROW(CheckFactorsFit(file, "f", {8, 10000, 4096}));
  EXPECT_REFUSED(CheckFactorsFit(file, "f", {16, 10000, 4096}),
                 "f: number of factors is 4, the model's is 8");
  EXPECT_REFUSED(CheckFactorsFit(file, "f", {8, 500000, 4096}), "f: rope_base is 10000.0");
  EXPECT_REFUSED(CheckFactorsFit(file, "f", {8, 10000, 8192}), "f: original_length is 4096");
  EXPECT_NO_THROW(CheckFactorsFit(file, "f", {8, 10000, 0}));  // a model that does not know
  EXPECT_NO_THROW(CheckFactorsFit(Parse(R"({"lambda": [1, 2]})"), "f", {4, 77, 99}));
}

TEST(FactorFile, TheEndingOfTheNameDecidesTheFormat) {
  const testing::TempFolder folder;
  testing::WriteFile(folder / "f.csv", "1\n2\n");
  testing::WriteFile(folder / "f.json", R"({"lambda": [1, 2]})");
  EXPECT_EQ(ReadFactorFile(folder / "f.csv").Longest().factors.lambda.size(), 2u);
  EXPECT_EQ(ReadFactorFile(folder / "f.json").Longest().factors.lambda.size(), 2u);
  testing::WriteFile(folder / "g.csv", R"({"lambda": [1, 2]})");
  EXPECT_REFUSED(ReadFactorFile(folder / "g.csv"), (folder / "g.csv").string() + ":1: ");
  EXPECT_REFUSED(ReadFactorFile(folder / "none"), (folder / "none").string());
  EXPECT_REFUSED(ReadFactorFile(folder.path()), folder.path().string());
}

TEST(LongropeCsv, OneFactorALineOrEqualRowsForEveryLayer) {
  const auto read = [](const char* text) {
    return ParseLongropeCsv(text, "f.csv").Longest().factors.lambda;
  };
  const std::vector<float> two = {1, 2.5f};
  for (const char* text : {"1\n2.5\n", "1\n2.5", "1\r\n2.5\r\n", "\n 1 \n\n\t2.5\n\n", "1,2.5\n",
                           "1,2.5\n1, 2.5\n1,2.50\r\n", "1.0e0\n25e-1\n"}) {
    EXPECT_EQ(read(text), two) << text;
  }
  EXPECT_EQ(WriteLongropeCsv({two, 4, 1.1}), "1\n2.5\n");
}

TEST(LongropeCsv, WhatIsNotAFactorIsRefusedWithItsLine) {
  const auto refused = [](const std::string& text, const char* part) {
    EXPECT_REFUSED(ParseLongropeCsv(text, "f.csv"), part);
  };
  for (const char* bad : {"x", "0", "-1", "nan", "inf", "1e-4", "1e7", "1.5x", "\"1\"", "1;2", "+1",
                          "0x1", "1e999", "[1]"}) {
    refused(std::string("1\n") + bad + "\n", "f.csv:2: ");
  }
  refused(
      "\xef\xbb\xbf"
      "1\n",
      "f.csv:1: ");
  refused(std::string("1\n\0\n", 4), "f.csv:2: ");
  refused("lambda\n1\n", "f.csv:1: 'lambda'");
  refused("1,2\n1,3\n", "f.csv:2: differs from the first row");
  refused("1,2\n1\n", "f.csv:2: differs");
  refused("1,2\n1,2,3\n", "f.csv:2: differs");
  refused("1\n1,2\n", "f.csv:2: differs");
  refused("1,2,\n", "f.csv:1: ''");
  refused(",1\n", "f.csv:1: ''");
  refused("", "f.csv: holds no factors");
  refused("\n \r\n", "f.csv: holds no factors");
  refused(std::string(100'000, '9'), "f.csv:1: ");
}

TEST(Merged, HoldsEveryBucketTheLaterFilesWhereLengthsAreEqual) {
  FactorFile first = Full(), second = Full();
  first.buckets[0].length = 4096;
  second.buckets[1].factors.start_tokens = 28;
  second.provenance["scores"] = {{"t", {{"fitness", 2.5}}}};
  second.provenance["model_digest"] = "cd";
  const FactorFile merged = Merged({first, second});
  ASSERT_EQ(merged.buckets.size(), 3u);
  EXPECT_EQ(merged.buckets[0].length, 4096);
  EXPECT_EQ(merged.buckets[1].length, 32768);
  EXPECT_EQ(merged.buckets[2].factors.start_tokens, 28);
  EXPECT_EQ(merged.original_length, 4096);
  EXPECT_EQ(merged.provenance["model_digest"], "cd");
  EXPECT_TRUE(merged.provenance["scores"].contains("s"));
  EXPECT_TRUE(merged.provenance["scores"].contains("t"));
}

}  // namespace
}  // namespace longrope
