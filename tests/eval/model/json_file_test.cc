#include "eval/model/json_file.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/support/refusal.h"
#include "tests/support/temp_folder.h"

namespace longrope {
namespace {

using ::testing::HasSubstr;
using testing::RefusalOf;
using ::testing::StartsWith;
using testing::TempFolder;

std::string Refusal(const std::string& text) {
  const std::string refusal = RefusalOf([&] { ParseJson(text, "file.json"); });
  EXPECT_THAT(refusal, StartsWith("file.json: "));
  EXPECT_LE(refusal.size(), 300u);  // a hostile text is not repeated at length
  return refusal;
}

std::string Nested(size_t depth) { return std::string(depth, '[') + std::string(depth, ']'); }

TEST(JsonFile, RefusesDepthWithoutRecursion) {
  EXPECT_EQ(ParseJson(Nested(60), "").size(), 1u);
  for (size_t depth : {100u, 100'000u, 5'000'000u}) {
    EXPECT_THAT(Refusal(Nested(depth)), HasSubstr("nested deeper than 64 levels"));
    EXPECT_THAT(Refusal(std::string(depth, '[')), HasSubstr("nested deeper than 64 levels"));
  }
}

TEST(JsonFile, RefusesDuplicateKeysAtAnyDepth) {
  EXPECT_THAT(Refusal(R"({"a":1,"b":2,"a":1})"), HasSubstr("key 'a' stands twice"));
  EXPECT_THAT(Refusal(R"({"x":[{"a":1,"a":2}]})"), HasSubstr("key 'a' stands twice"));
  EXPECT_THAT(Refusal(R"({"a":{"b":1},"a":3})"), HasSubstr("key 'a' stands twice"));
  EXPECT_THAT(Refusal(R"({"é":1,"\u00e9":3})"), HasSubstr("stands twice"));
  // Equal keys of different objects are not twice the same.
  EXPECT_NO_THROW(ParseJson(R"({"a":{"a":1},"b":{"a":1},"c":[{"a":1},{"a":2}]})", ""));
}

TEST(JsonFile, RefusesLoneSurrogatesAndBrokenUtf8) {
  for (const char* text : {R"("\ud800")", R"("\udc00")", R"("\ud83d\ud83d")", R"("\ud83dx")",
                           R"("\ud83d\u0041")", R"({"\udfff":1})", "\"\xff\"", "\"\xc3\"",
                           "\"\xc0\x80\"", "\"\xed\xa0\x80\"", "\"\xf4\x90\x80\x80\""}) {
    EXPECT_THAT(Refusal(text), HasSubstr("not valid JSON"));
  }
  EXPECT_EQ(ParseJson(R"("\ud83d\ude00")", "").get<std::string>(), "\xf0\x9f\x98\x80");
}

TEST(JsonFile, RefusesNulBytesWhereverTheyStand) {
  const std::string nul(1, '\0');
  for (const std::string& text : {"{}" + nul, nul + "{}", "{" + nul + "}", "{}" + nul + "garbage",
                                  "[1," + nul + "2]", "\"a" + nul + "\"", nul}) {
    EXPECT_THAT(Refusal(text), HasSubstr("not valid JSON"));
  }
  // Escaped it is a character like others.
  EXPECT_EQ(ParseJson(R"("a\u0000b")", "").get<std::string>(), std::string("a\0b", 3));
}

TEST(JsonFile, ReadsPastAByteOrderMarkAndCrlf) {
  EXPECT_EQ(ParseJson("\xef\xbb\xbf{\r\n\"a\": 1\r\n}\r\n", "").at("a"), 1);
  EXPECT_THAT(Refusal("\xef\xbb{}"), HasSubstr("not valid JSON"));
  EXPECT_THAT(Refusal("\xfe\xff{}"), HasSubstr("not valid JSON"));  // UTF-16's
  EXPECT_THAT(Refusal("{}\xef\xbb\xbf"), HasSubstr("not valid JSON"));
}

TEST(JsonFile, RefusesWhatOnlyLooksLikeJson) {
  for (const char* text : {"", " ", "{", "[1,]", "{a:1}", "{'a':1}", "[NaN]", "[Infinity]", "[01]",
                           "[1e999]", "[-]", "{} {}", "// x\n{}", "{\"a\"}", "\"\t\"", "nul"}) {
    EXPECT_THAT(Refusal(text), HasSubstr("not valid JSON")) << text;
  }
}

TEST(JsonFile, SaysLineAndColumn) {
  EXPECT_THAT(Refusal("{\n\"a\": 1,\n\"b\" 2}"), HasSubstr("line 3, column"));
}

TEST(JsonObject, RefusesOtherTypesByKey) {
  const JsonObject object(
      ParseJson(R"({"text":"x","flag":true,"number":1.5,"list":[1,2.5],"mixed":[1,"x"],)"
                R"("object":{"inner":1},"null":null})",
                ""),
      "file.json");
  const auto refusal = [&](const auto& call) {
    const std::string what = RefusalOf(call);
    EXPECT_THAT(what, StartsWith("file.json: "));
    return what;
  };
  EXPECT_THAT(refusal([&] { object.Text("flag"); }), HasSubstr("flag: expected a text"));
  EXPECT_THAT(refusal([&] { object.Flag("number"); }), HasSubstr("number: expected true or false"));
  EXPECT_THAT(refusal([&] { object.Number("text"); }), HasSubstr("text: expected a number"));
  EXPECT_THAT(refusal([&] { object.Number("flag"); }), HasSubstr("flag: expected a number"));
  EXPECT_THAT(refusal([&] { object.Numbers("number"); }), HasSubstr("number: expected a list"));
  EXPECT_THAT(refusal([&] { object.Numbers("mixed"); }), HasSubstr("mixed: element 1"));
  EXPECT_THAT(refusal([&] { object.Object("list"); }), HasSubstr("list: expected a JSON object"));
  EXPECT_THAT(refusal([&] { object.Object("none"); }), HasSubstr("none: missing"));
  EXPECT_THAT(refusal([&] { object.Object("object").Text("inner"); }),
              HasSubstr("object: inner: expected a text"));
  EXPECT_EQ(object.Number("number"), 1.5);
  EXPECT_EQ(object.Numbers("list"), (std::vector<double>{1, 2.5}));
  EXPECT_FALSE(object.Has("null"));
  EXPECT_EQ(object.Text("null"), std::nullopt);
  EXPECT_EQ(object.Flag("none"), std::nullopt);
}

TEST(JsonObject, IntegersAreWholeAndWithinTheirRange) {
  const JsonObject object(ParseJson(R"({"a":7,"b":7.0,"c":7.5,"d":-1,"e":1e300,"f":11})", ""), "f");
  EXPECT_EQ(object.Integer("a", 0, 10), 7);
  EXPECT_EQ(object.Integer("b", 7, 7), 7);
  EXPECT_EQ(object.Integer("none", 0, 10), std::nullopt);
  for (const char* key : {"c", "d", "e", "f"}) {
    EXPECT_THAT(RefusalOf([&] { object.Integer(key, 0, 10); }),
                HasSubstr("allowed: whole numbers from 0 to 10"))
        << key;
  }
}

TEST(JsonObject, IsReadFromAFileOfBoundedSize) {
  const TempFolder folder;
  const auto path = folder.path() / "a.json";
  testing::WriteFile(path, R"({"a":1})");
  EXPECT_EQ(ReadJsonObject(path, 7).Integer("a", 0, 9), 1);
  EXPECT_THAT(RefusalOf([&] { ReadJsonObject(path, 6); }),
              HasSubstr("a.json: has 7 bytes, allowed are 6"));
  EXPECT_THAT(RefusalOf([&] { ReadJsonObject(folder.path() / "b.json"); }),
              HasSubstr("b.json: cannot be opened"));
  testing::WriteFile(path, "[1]");
  EXPECT_THAT(RefusalOf([&] { ReadJsonObject(path); }),
              HasSubstr("a.json: expected a JSON object"));
}

}  // namespace
}  // namespace longrope
