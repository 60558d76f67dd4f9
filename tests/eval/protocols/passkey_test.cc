#include "eval/protocols/passkey.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <stdexcept>

#include "eval/protocols/passkey_accuracy.h"
#include "tests/support/refusal.h"
#include "tests/support/temp_folder.h"

namespace longrope {
namespace {

using ::testing::ElementsAre;

const std::string kEmpty =
    "There is an important info hidden inside a lot of irrelevant text. Find it and memorize them. "
    "I will quiz you about the important information there. The pass key is 17865. Remember it. "
    "17865 is the pass key. What is the pass key? The pass key is";

// One id a character, behind a first id of 1; `joined` is one id where it stands.
class Characters final : public Tokenizer {
 public:
  explicit Characters(std::string joined = "") : joined_(std::move(joined)) {}
  std::vector<int32_t> Encode(std::string_view text) const override {
    std::vector<int32_t> ids = Prefix();
    for (size_t i = 0; i < text.size(); ++i) {
      const bool join = !joined_.empty() && text.substr(i).starts_with(joined_);
      ids.push_back(join ? 1000 : text[i]);
      if (join) i += joined_.size() - 1;
    }
    return ids;
  }
  std::vector<int32_t> Prefix() const override { return {1}; }
  const std::string& Digest() const override { return joined_; }

 private:
  std::string joined_;
};

std::string TextOf(const std::vector<int32_t>& ids) {
  std::string text;
  for (size_t i = 1; i < ids.size(); ++i) text += static_cast<char>(ids[i]);
  return text;
}

TEST(PasskeyText, IsThePapersPrompt) {
  EXPECT_EQ(PasskeyText(0, 0, 17865), kEmpty);
  EXPECT_EQ(
      PasskeyText(1, 2, 40213),
      "There is an important info hidden inside a lot of irrelevant text. Find it and memorize "
      "them. I will quiz you about the important information there. The grass is green. The sky is "
      "blue. The sun is yellow. Here we go. There and back again. The pass key is 40213. Remember "
      "it. 40213 is the pass key. The grass is green. The sky is blue. The sun is yellow. Here we "
      "go. There and back again. The grass is green. The sky is blue. The sun is yellow. Here we "
      "go. There and back again. What is the pass key? The pass key is");
}

TEST(MakePasskeyPrompt, TakesAsManyTokensAsFitAndNeverMore) {
  const Characters tokenizer;
  const auto empty = static_cast<int64_t>(kEmpty.size()) + 1 + 6;
  const auto filler = static_cast<int64_t>(PasskeyText(0, 1, 17865).size() - kEmpty.size());
  for (int64_t length = empty; length < empty + 4 * filler; length += 7) {
    for (const double place : {0.0, 0.3, 0.999}) {
      const PasskeyPrompt prompt = MakePasskeyPrompt(tokenizer, length, {17865, place});
      const auto used = static_cast<int64_t>(prompt.tokens.size());
      EXPECT_LE(used, length);
      EXPECT_GT(used + filler, length);
      EXPECT_EQ(prompt.length, length);
      EXPECT_EQ(prompt.answer, used - 6);
      EXPECT_EQ(TextOf(prompt.tokens).substr(static_cast<size_t>(prompt.answer) - 1), " 17865");
    }
  }
  EXPECT_EQ(MakePasskeyPrompt(tokenizer, 5'000'000, {17865, 0.5}).tokens.size(),
            static_cast<size_t>(empty + (5'000'000 - empty) / filler * filler));
  EXPECT_REFUSED(MakePasskeyPrompt(tokenizer, empty - 1, {17865, 0}),
                 "a passkey in " + std::to_string(empty - 1) + " tokens: its prompt takes " +
                     std::to_string(empty));
}

// A tokenizer for which repeats do not cost alike: the first takes 90 ids, others far fewer.
TEST(MakePasskeyPrompt, FindsTheFitWhereRepeatsCostUnlike) {
  const Characters tokenizer(" There and back again. The grass is green. The sky is blue. The sun");
  const auto tokens = [&](int64_t before, int64_t after) {
    return static_cast<int64_t>(
        tokenizer.Encode(PasskeyText(before, after, 17865) + " 17865").size());
  };
  for (int64_t length = tokens(0, 0); length < 1500; length += 11) {
    const auto used =
        static_cast<int64_t>(MakePasskeyPrompt(tokenizer, length, {17865, 0}).tokens.size());
    int64_t most = 0;
    while (tokens(0, most + 1) <= length) ++most;
    EXPECT_EQ(used, tokens(0, most)) << length;
  }
}

TEST(MakePasskeyPrompt, PutsTheKeyWhereItsPlaceSays) {
  const Characters tokenizer;
  const auto length = static_cast<int64_t>(PasskeyText(0, 4, 17865).size()) + 1 + 6;
  std::vector<int> found(5);
  for (int i = 0; i < 1000; ++i) {
    const double place = i / 1000.0;
    const PasskeyPrompt prompt = MakePasskeyPrompt(tokenizer, length, {17865, place});
    const auto before = static_cast<int64_t>(place * 5);
    EXPECT_EQ(prompt.depth, static_cast<double>(before) / 4);
    EXPECT_EQ(TextOf(prompt.tokens), PasskeyText(before, 4 - before, 17865) + " 17865");
    ++found[static_cast<size_t>(before)];
  }
  EXPECT_THAT(found, ElementsAre(200, 200, 200, 200, 200));
  EXPECT_EQ(MakePasskeyPrompt(tokenizer, length, {17865, std::nextafter(1.0, 0.0)}).depth, 1);
  const auto empty = static_cast<int64_t>(kEmpty.size()) + 1 + 6;
  EXPECT_EQ(MakePasskeyPrompt(tokenizer, empty, {17865, 0.9}).depth, 0);  // there is no filler
}

TEST(MakePasskeyPrompt, TheAnswerIsWhatTheTokenizerMakesOfBothTogether) {
  // The prompt's last letter and the answer's first characters become one id.
  const Characters merging("s 1");
  const PasskeyPrompt merged = MakePasskeyPrompt(merging, 400, {17865, 0});
  EXPECT_THAT(std::vector(merged.tokens.begin() + merged.answer, merged.tokens.end()),
              ElementsAre(1000, '7', '8', '6', '5'));
  EXPECT_EQ(merged.tokens[static_cast<size_t>(merged.answer) - 1], 'i');
  const Characters whole(" 17865");
  const PasskeyPrompt one = MakePasskeyPrompt(whole, 400, {17865, 0});
  EXPECT_THAT(std::vector(one.tokens.begin() + one.answer, one.tokens.end()), ElementsAre(1000));
  // LLaMA's way: a space by itself, then digit by digit.
  const auto tiny = OpenTokenizer(testing::SourcePath("data/tiny"), 4096);
  const PasskeyPrompt prompt = MakePasskeyPrompt(*tiny, 512, {98041, 0.5});
  const auto digits = tiny->Encode("98041");
  ASSERT_EQ(digits.size(), 7u);  // BOS, a space, five digits
  EXPECT_EQ(std::vector(prompt.tokens.begin() + prompt.answer, prompt.tokens.end()),
            std::vector(digits.begin() + 1, digits.end()));
  EXPECT_EQ(prompt.tokens[0], 1);
}

TEST(MakePasskeyPrompt, RefusesWhatIsNoDraw) {
  const Characters tokenizer;
  for (const PasskeyDraw& draw :
       {PasskeyDraw{9999, 0}, PasskeyDraw{100000, 0}, PasskeyDraw{17865, -0.1},
        PasskeyDraw{17865, 1}, PasskeyDraw{17865, std::nan("")}}) {
    EXPECT_THROW(MakePasskeyPrompt(tokenizer, 1000, draw), std::invalid_argument);
  }
}

PasskeyPrompt SmallPrompt() { return MakePasskeyPrompt(Characters(), 500, {17865, 0.6}); }

// Scores as a model might give them: everything the likeliest but the tokens `wrong`.
TokenScores ScoresBut(size_t tokens, const std::vector<int64_t>& wrong) {
  TokenScores scores{std::vector<double>(tokens - 1), std::vector<uint8_t>(tokens - 1, 1)};
  for (size_t i = 0; i + 1 < tokens; ++i) scores.nats[i] = i + 7 < tokens ? 1000 : 0.5;
  for (int64_t token : wrong) scores.likeliest[static_cast<size_t>(token) - 1] = 0;
  return scores;
}

TEST(TryPasskey, AsksForTheAnswerAlone) {
  const PasskeyPrompt prompt = SmallPrompt();
  const auto result = *TryPasskey(prompt, [&](auto tokens, auto scored) {
    EXPECT_EQ(std::vector(tokens.begin(), tokens.end()), prompt.tokens);
    EXPECT_EQ(scored.size(), tokens.size());
    for (size_t i = 0; i < scored.size(); ++i) {
      EXPECT_EQ(scored[i], i + 6 >= scored.size()) << i;
    }
    return std::optional(ScoresBut(tokens.size(), {}));
  });
  const auto used = static_cast<int64_t>(prompt.tokens.size());
  EXPECT_EQ(result, (PasskeyResult{500, used, prompt.depth, 17865, true, 3}));
}

TEST(TryPasskey, IsRightIfEveryTokenOfTheAnswerIsTheLikeliest) {
  const PasskeyPrompt prompt = SmallPrompt();
  const auto used = static_cast<int64_t>(prompt.tokens.size());
  const auto right = [&](const std::vector<int64_t>& wrong) {
    return TryPasskey(prompt, [&](auto tokens,
                                  auto) { return std::optional(ScoresBut(tokens.size(), wrong)); })
        ->right;
  };
  EXPECT_TRUE(right({}));
  EXPECT_TRUE(right({1, prompt.answer - 1}));  // the prompt's tokens are nobody's answer
  for (int64_t token = prompt.answer; token < used; ++token) EXPECT_FALSE(right({token})) << token;
  EXPECT_FALSE(TryPasskey(prompt, [](auto, auto) { return std::optional<TokenScores>(); }));
}

PasskeyResult Result(double depth, bool right) { return {100, 90, depth, 12345, right, 1}; }

TEST(PasskeyAccuracy, CountsByDepth) {
  const std::vector<PasskeyResult> results = {Result(0, true),   Result(0.19, false),
                                              Result(0.2, true), Result(0.5, false),
                                              Result(1, true),   Result(0.8, true)};
  EXPECT_EQ(AccuracyOf(results), (PasskeyAccuracy{6, 4}));
  EXPECT_EQ(AccuracyOf(results).Share(), 4.0 / 6);
  EXPECT_THAT(AccuracyByDepth(results, 5),
              ElementsAre(PasskeyAccuracy{2, 1}, PasskeyAccuracy{1, 1}, PasskeyAccuracy{1, 0},
                          PasskeyAccuracy{0, 0}, PasskeyAccuracy{2, 2}));
  EXPECT_THAT(AccuracyByDepth(results, 1), ElementsAre(PasskeyAccuracy{6, 4}));
  EXPECT_TRUE(std::isnan(AccuracyOf({}).Share()));
}

}  // namespace
}  // namespace longrope
