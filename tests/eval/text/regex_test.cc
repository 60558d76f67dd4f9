#include "eval/text/regex.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "eval/text/split_patterns.h"
#include "tests/support/refusal.h"

namespace longrope {
namespace {

using ::testing::ElementsAre;

std::vector<std::string> WordsOf(const std::string& text, const std::string& pattern) {
  std::vector<std::string> words;
  const Regex regex(pattern, "test");
  Regex::Span match{};
  for (size_t from = 0; regex.Find(text, from, &match); from = match.end) {
    words.push_back(text.substr(match.begin, match.end - match.begin));
  }
  return words;
}

TEST(Regex, CutsAsGpt2) {
  EXPECT_THAT(WordsOf("I'll pay  $12.50,\n\nMr. H\u00f6ss!", kGpt2Pattern),
              ElementsAre("I", "'ll", " pay", " ", " $", "12", ".", "50", ",", "\n", "\n", "Mr",
                          ".", " H\u00f6ss", "!"));
}

// PCRE2's own \s has U+180E, which is no white space; Oniguruma's has U+0085.
TEST(Regex, ReadsClassesAsOnigurumaDoes) {
  EXPECT_THAT(WordsOf("\u180e\u0085\u00a0", R"(\s)"), ElementsAre("\u0085", "\u00a0"));
  EXPECT_THAT(WordsOf("a\u180e \u0301b_\u203f-\u2460", R"(\w+)"),
              ElementsAre("a", "\u0301b_\u203f"));
  EXPECT_THAT(WordsOf("1\u0661\u00bd", R"(\d)"), ElementsAre("1", "\u0661"));
  EXPECT_THAT(WordsOf("x\nx", "^x$"), ElementsAre("x", "x"));
  EXPECT_THAT(WordsOf("ab", R"(\u0061|[\u0062])"), ElementsAre("a", "b"));
}

TEST(Regex, TakesTextWithoutEnd) {
  const std::string spaces(4'000'000, ' ');
  const auto step = PreTokenizerOf("llama-bpe", "test").steps;
  int words = 0;
  PreTokenize(spaces + "x", true, step, [&](std::string_view) { ++words; });
  EXPECT_EQ(words, 2);
}

TEST(Regex, RefusesByNameWhatItCannotRead) {
  const std::pair<const char*, const char*> cases[] = {
      {"a(b", "here: PCRE2 cannot compile the pattern"},
      {"[a[bc]]", "here: a class within a class at byte 2"},
      {"[a&&b]", "here: && in a class"},
      {R"([\W])", "here: \\W in a class"},
      {R"(\h)", "here: \\h at byte 0"},
      {R"(\C)", "here: \\C at byte 0"},
      {"a{1,3}+", "here: {n,m}+"},
      {"a{,3}", "here: {,n}"},
      {"[]a]", "here: an empty class"},
      {R"(\u00)", "here: \\u without four digits"},
      {R"(\p{L)", "here: an open brace"},
      {"a\\", "here: a lone backslash"}};
  for (const auto& one : cases) EXPECT_REFUSED(Regex(one.first, "here"), one.second);
}

TEST(Regex, RefusesAMatchWithoutEnd) {
  const Regex regex("(a|a)*[bc]", "here");
  Regex::Span match{};
  EXPECT_REFUSED(regex.Find(std::string(64, 'a'), 0, &match), "here: the pattern fails at byte 0");
}

}  // namespace
}  // namespace longrope
