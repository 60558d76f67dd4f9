#include "search/job/yaml_tree.h"

#include <gtest/gtest.h>

#include "tests/support/refusal.h"
#include "tests/support/temp_folder.h"

namespace longrope {
namespace {

YamlNode Parse(const std::string& text) { return ParseYaml(text, "job.yaml"); }

// Equal but for where things stood.
void ExpectSame(const YamlNode& a, const YamlNode& b) {
  ASSERT_EQ(a.kind, b.kind);
  EXPECT_EQ(a.text, b.text);
  EXPECT_EQ(a.IsNull(), b.IsNull());
  ASSERT_EQ(a.items.size(), b.items.size());
  for (size_t i = 0; i < a.items.size(); ++i) ExpectSame(a.items[i], b.items[i]);
  ASSERT_EQ(a.members.size(), b.members.size());
  for (size_t i = 0; i < a.members.size(); ++i) {
    EXPECT_EQ(a.members[i].first, b.members[i].first);
    ExpectSame(a.members[i].second, b.members[i].second);
  }
}

std::string Repeated(const std::string& text, size_t count) {
  std::string all;
  for (size_t i = 0; i < count; ++i) all += text;
  return all;
}

TEST(YamlTree, ReadsMapsListsAndScalarsWithTheirPlaces) {
  const YamlNode root = Parse("a: 1\nlist: [x, 'y z', 3]\nmap:\n  b: \"quoted\"\n  c:\n    - d\n");
  ASSERT_EQ(root.kind, YamlNode::Kind::kMap);
  EXPECT_EQ(root.where, "job.yaml:1");
  EXPECT_EQ(root.Find("a")->text, "1");
  EXPECT_FALSE(root.Find("a")->quoted);
  const YamlNode& list = *root.Find("list");
  ASSERT_EQ(list.items.size(), 3u);
  EXPECT_EQ(list.items[1].text, "y z");
  EXPECT_TRUE(list.items[1].quoted);
  EXPECT_EQ(list.items[2].where, "job.yaml:2");
  const YamlNode& map = *root.Find("map");
  EXPECT_TRUE(map.Find("b")->quoted);
  EXPECT_EQ(map.Find("b")->where, "job.yaml:4");
  EXPECT_EQ(map.Find("c")->items[0].text, "d");
  EXPECT_EQ(root.Find("none"), nullptr);
}

TEST(YamlTree, AValueStandsWhereItsKeyDoes) {
  const YamlNode root = Parse("a: 1\nmodle:\n\n  path: x\nlist:\n  - 1\n");
  EXPECT_EQ(root.Find("modle")->where, "job.yaml:2");
  EXPECT_EQ(root.Find("list")->where, "job.yaml:5");
}

TEST(YamlTree, NullsAreNullUnlessQuoted) {
  const YamlNode root = Parse("a:\nb: ~\nc: null\nd: ''\ne: \"null\"\nf: '~'\ng: [~, x]\n");
  for (const char* key : {"a", "b", "c"}) EXPECT_TRUE(root.Find(key)->IsNull()) << key;
  for (const char* key : {"d", "e", "f"}) EXPECT_FALSE(root.Find(key)->IsNull()) << key;
  EXPECT_TRUE(root.Find("g")->items[0].IsNull());
  EXPECT_FALSE(root.Find("g")->items[1].IsNull());
}

TEST(YamlTree, CarriageReturnsAreLineEnds) {
  const YamlNode root = Parse("a: 1\r\nb:\r\n  c: x y\r\n");
  EXPECT_EQ(root.Find("a")->text, "1");
  EXPECT_EQ(root.Find("b")->Find("c")->text, "x y");
  EXPECT_EQ(root.Find("b")->Find("c")->where, "job.yaml:3");
}

TEST(YamlTree, AByteOrderMarkIsNoText) {
  EXPECT_EQ(Parse("\xef\xbb\xbf"
                  "a: 1\n")
                .members[0]
                .first,
            "a");
}

TEST(YamlTree, ADuplicateKeyIsRefusedWithItsLine) {
  EXPECT_REFUSED(Parse("a: 1\nb: 2\na: 3\n"), "job.yaml:3: key 'a' stands twice");
  EXPECT_REFUSED(Parse("m:\n  x: 1\n  'x': 1\n"), "job.yaml:3: key 'x' stands twice");
  EXPECT_REFUSED(Parse("{a: 1, a: 1}"), "job.yaml:1: key 'a' stands twice");
  EXPECT_NO_THROW(Parse("a: {x: 1}\nb: {x: 1}\n"));
}

TEST(YamlTree, AnchorsAliasesAndTagsAreRefused) {
  EXPECT_REFUSED(Parse("a: 1\nb: &x 2\n"), "job.yaml:2: anchors");
  EXPECT_REFUSED(Parse("a: &x [1]\n"), "job.yaml:1: anchors");
  EXPECT_REFUSED(Parse("a: &x {b: 1}\n"), "anchors");
  EXPECT_REFUSED(Parse("a: &x\n"), "anchors");
  EXPECT_REFUSED(Parse("&x a: 1\n"), "anchors");
  EXPECT_REFUSED(Parse("a: *x\n"), "job.yaml:1: ");
  EXPECT_REFUSED(Parse("a: 1\nb: !!str 2\n"), "job.yaml:2: tags");
  EXPECT_REFUSED(Parse("a: !mine [1]\n"), "tags");
  EXPECT_REFUSED(Parse("a: !!map {b: 1}\n"), "tags");
  // A bomb of aliases ends at its first anchor.
  EXPECT_REFUSED(Parse("a: &a [x,x]\nb: &b [*a,*a]\nc: [*b,*b]\n"), "job.yaml:1: anchors");
}

TEST(YamlTree, NumbersWithALeadingZeroAreRefused) {
  for (const char* text : {"010", "-010", "+07", "00", "0o17", "0123.5", "08"}) {
    EXPECT_REFUSED(Parse(std::string("a: 1\nb: ") + text), "job.yaml:2: ");
    EXPECT_REFUSED(Parse(std::string("b: [1, ") + text + "]"), "leading zero");
    EXPECT_NO_THROW(Parse(std::string("b: '") + text + "'"));
  }
  for (const char* text : {"0", "0.5", "-0.25", "0e1", "10", "1e05"}) {
    EXPECT_EQ(Parse(std::string("b: ") + text).Find("b")->text, text);
  }
}

TEST(YamlTree, KeysMustBePlainWords) {
  EXPECT_REFUSED(Parse("? [a, b]\n: 1\n"), "a key must be a plain word");
  EXPECT_REFUSED(Parse("? {a: b}\n: 1\n"), "a key must be a plain word");
  EXPECT_REFUSED(Parse(": 1\n"), "job.yaml:1: ");
  EXPECT_REFUSED(Parse("'': 1\n"), "a key must be a plain word");
}

TEST(YamlTree, MoreThan64KibAreRefused) {
  const std::string head = "a: ";
  const std::string fits = head + std::string((64 << 10) - head.size(), 'x');
  EXPECT_EQ(Parse(fits).Find("a")->text.size(), (64u << 10) - head.size());
  EXPECT_REFUSED(Parse(fits + "x"), "job.yaml: has 65537 bytes");
  const testing::TempFolder folder;
  testing::WriteFile(folder / "big.yaml", fits + "x");
  EXPECT_REFUSED(ReadYaml(folder / "big.yaml"), (folder / "big.yaml").string());
}

TEST(YamlTree, SeveralDocumentsAreRefused) {
  EXPECT_NO_THROW(Parse("---\na: 1\n...\n"));
  EXPECT_REFUSED(Parse("a: 1\n---\nb: 2\n"), "several documents");
  EXPECT_REFUSED(Parse("a: 1\n---\n"), "several documents");
  EXPECT_REFUSED(Parse("a: 1\n...\nb: 2\n"), "job.yaml");
  EXPECT_REFUSED(Parse("{a: 1} b"), "job.yaml");
}

TEST(YamlTree, InvalidUtf8IsRefusedWithItsByte) {
  EXPECT_REFUSED(Parse("a: \xff\n"), "job.yaml: byte 3 is not valid UTF-8");
  EXPECT_REFUSED(Parse("a: \xc0\xaf\n"), "not valid UTF-8");
  EXPECT_REFUSED(Parse("a: \xed\xa0\x80\n"), "not valid UTF-8");  // a lone surrogate
  EXPECT_REFUSED(Parse(std::string("\xff\xfe"
                                   "a\0:\0",
                                   6)),
                 "not valid UTF-8");
  EXPECT_EQ(Parse("a: \xc3\xa9\xf0\x9f\x98\x80").Find("a")->text, "\xc3\xa9\xf0\x9f\x98\x80");
}

// One of them ends the parser's input, and what follows would not be read at all.
TEST(YamlTree, ControlCharactersAreRefused) {
  for (const char c : {'\0', '\x01', '\x04', '\x08', '\x0b', '\x1b', '\x7f'}) {
    const std::string text = std::string("a: 1\n") + c + "\nb: 2\nunknown: key\n";
    EXPECT_REFUSED(Parse(text), "job.yaml:2: ");
  }
}

TEST(YamlTree, SyntaxErrorsCarryTheirLine) {
  EXPECT_REFUSED(Parse("a: 1\nb: [1, 2\n"), "job.yaml:");
  EXPECT_REFUSED(Parse("a: 1\nb: 'open"), "not valid YAML");
  EXPECT_REFUSED(Parse("a: 1\n\tb: 2\n"), "job.yaml:2: not valid YAML");
  EXPECT_REFUSED(Parse("a: 1\nb: 2: 3\n"), "job.yaml:2: not valid YAML");
  EXPECT_REFUSED(Parse("a: 1\n b: 2\n"), "job.yaml:");
  EXPECT_REFUSED(Parse("a: @x\n"), "job.yaml:1: not valid YAML");
}

TEST(YamlTree, NestingHasAnEnd) {
  for (const char* open : {"[", "{", "{a: ", "[[", "- ", "? ", "!t [", "&a [", "[a, "}) {
    for (const size_t depth : {10'000, 16'000, 30'000, 100'000}) {
      EXPECT_REFUSED(Parse(Repeated(open, depth)), "job.yaml:");
    }
  }
  EXPECT_REFUSED(Parse(Repeated("[", 10'000) + Repeated("]", 10'000)), "job.yaml:");
  std::string block;
  for (size_t i = 0; i < 340; ++i) block += std::string(i, ' ') + "a:\n";
  EXPECT_NO_FATAL_FAILURE(try { Parse(block); } catch (const InputError&){});
  EXPECT_NO_THROW(Parse(Repeated("[", 20) + Repeated("]", 20)));
}

TEST(YamlTree, AnEmptyTextIsANullThatKnowsItsPlace) {
  for (const char* text : {"", "\n\n", "# only a comment\n", "---\n"}) {
    const YamlNode root = Parse(text);
    EXPECT_TRUE(root.IsNull());
    EXPECT_TRUE(root.where.starts_with("job.yaml:")) << root.where;
  }
}

TEST(YamlTree, WhatIsWrittenReadsBack) {
  for (const char* text :
       {"a: 1\nb: x\n", "a: [1, 2, 'three four']\nm:\n  k: \"v: w # no comment\"\n  e: {}\n",
        "l:\n  - name: x\n    list: []\n  - [[1], [2, {c: d}]]\n", "a:\nb: ~\nc: null\n",
        "a: ''\nb: '~'\nc: 'null'\nd: 'true'\ne: '010'\n", "[1, 2]", "word", "'010'",
        "a: \"line\\nend\\ttab \\\\ \\\" \\u00e9 \\U0001F600 \\e\"\n", "a: |\n  several\n  lines\n",
        "a: >\n  folded\n  text\n", "'odd: key': 1\n'# hash': 2\n' space ': 3\n",
        "a: plain words with - and # no: sense\n"}) {
    SCOPED_TRACE(text);
    YamlNode first;
    try {
      first = Parse(text);
    } catch (const InputError&) {
      continue;  // not YAML: the last one
    }
    const std::string written = WriteYaml(first);
    ExpectSame(Parse(written), first);
    EXPECT_EQ(WriteYaml(Parse(written)), written);
  }
}

}  // namespace
}  // namespace longrope
