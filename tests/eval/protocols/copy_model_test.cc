// Passkeys on models: one that was trained to retrieve them (tests/golden/copy_model), and one that
// was not (data/tiny).
#include <gtest/gtest.h>

#include <algorithm>
#include <nlohmann/json.hpp>

#include "eval/backend.h"
#include "eval/model/model_folder.h"
#include "eval/protocols/passkey.h"
#include "eval/protocols/passkey_accuracy.h"
#include "eval/scorer.h"
#include "tests/support/compare.h"
#include "tests/support/temp_folder.h"

namespace longrope {
namespace {

using nlohmann::json;
using testing::SourcePath;

constexpr int kTries = 10;

// Ten draws that depend on the length alone, places spread evenly.
std::vector<PasskeyDraw> Draws(int64_t length) {
  std::vector<PasskeyDraw> draws;
  auto state = static_cast<uint32_t>(length);
  for (int i = 0; i < kTries; ++i) {
    state = state * 1664525u + 1013904223u;
    draws.push_back({static_cast<int32_t>(10000 + (state >> 8) % 90000), (i + 0.5) / kTries});
  }
  return draws;
}

class PasskeyOn {
 public:
  explicit PasskeyOn(const char* folder, int threads = 2)
      : folder_(SourcePath(folder), {}),
        tokenizer_(OpenTokenizer(SourcePath(folder), folder_.config().shape.vocab)),
        engine_(MakeEngine({.name = "reference", .threads = threads})),
        scorer_(*engine_, folder_, {}) {}

  PasskeyPrompt Prompt(int64_t length, const PasskeyDraw& draw) const {
    return MakePasskeyPrompt(*tokenizer_, length, draw);
  }
  PasskeyResult Try(const PasskeyPrompt& prompt, std::stop_token stop = {}) const {
    const auto pairs = static_cast<size_t>(folder_.config().shape.head_dim / 2);
    const RopeFactors plain{std::vector<float>(pairs, 1.0f), 0, 1};
    return *TryPasskey(prompt, [&](auto tokens, auto scored) {
      return scorer_.ScoreEachToken(tokens, plain, stop, scored);
    });
  }
  std::vector<PasskeyResult> TryAll(int64_t length) const {
    std::vector<PasskeyResult> results;
    for (const PasskeyDraw& draw : Draws(length)) results.push_back(Try(Prompt(length, draw)));
    return results;
  }

 private:
  ModelFolder folder_;
  std::unique_ptr<Tokenizer> tokenizer_;
  std::unique_ptr<Engine> engine_;
  Scorer scorer_;
};

const char* const kCopyModel = "tests/golden/copy_model";

TEST(CopyModel, FindsEveryPasskeyAtTheLengthsItLearned) {
  const PasskeyOn model(kCopyModel);
  for (const int64_t length : {128, 256, 384, 512}) {
    const auto results = model.TryAll(length);
    EXPECT_EQ(AccuracyOf(results), (PasskeyAccuracy{kTries, kTries})) << length;
    for (const PasskeyResult& result : results) {
      EXPECT_LE(result.tokens, length);
      EXPECT_GT(result.tokens, length - 25);  // a repeat of the filler takes 24
      EXPECT_LT(result.nats, 0.7);            // sure of it: more than 1/2 for the whole
    }
  }
}

// It must read the key: asked for another one than the text tells, it says the text's.
TEST(CopyModel, FindsNoOtherKeyThanTheTexts) {
  const PasskeyOn model(kCopyModel);
  for (const int64_t length : {128, 512}) {
    for (const PasskeyDraw& draw : Draws(length)) {
      PasskeyPrompt prompt = model.Prompt(length, draw);
      const PasskeyPrompt other = model.Prompt(length, {99999 - draw.key + 10000, draw.place});
      ASSERT_EQ(prompt.answer, other.answer);
      std::copy(other.tokens.begin() + other.answer, other.tokens.end(),
                prompt.tokens.begin() + prompt.answer);
      EXPECT_FALSE(model.Try(prompt).right) << draw.key;
    }
  }
}

TEST(CopyModel, IsTheSameOnAnyNumberOfThreads) {
  const auto expected = PasskeyOn(kCopyModel, 1).TryAll(300);
  for (int threads : {2, 3}) EXPECT_EQ(PasskeyOn(kCopyModel, threads).TryAll(300), expected);
}

// Prompts, places of the answers, nats and verdicts: those of the script's own prompts and of
// transformers.
TEST(CopyModel, TriesAreThoseOfTransformers) {
  const json golden =
      json::parse(testing::SlurpFile(SourcePath("tests/golden/copy_model/passkey.json")));
  const PasskeyOn model(kCopyModel);
  int right = 0, wrong = 0;
  for (const json& one : golden.at("cases")) {
    const auto filler = one.at("filler").get<double>(), before = one.at("before").get<double>();
    const PasskeyDraw draw{one.at("key"), (before + 0.5) / (filler + 1)};
    const PasskeyPrompt prompt = model.Prompt(one.at("length"), draw);
    SCOPED_TRACE(::testing::Message() << one.at("length") << ", " << before);
    EXPECT_EQ(prompt.tokens, one.at("ids").get<std::vector<int32_t>>());
    EXPECT_EQ(prompt.answer, one.at("answer"));
    EXPECT_EQ(prompt.depth, before / filler);
    const PasskeyResult result = model.Try(prompt);
    EXPECT_EQ(result.right, one.at("right"));
    const double nats = one.at("nats");
    EXPECT_TRUE(testing::Close(result.nats, nats, 1e-4 + 1e-4 * nats));
    ++(result.right ? right : wrong);
  }
  EXPECT_GT(right, 5);
  EXPECT_GT(wrong, 0);  // beyond its length: verdicts of both kinds are compared
}

TEST(CopyModel, DataTinyIsNoSuchModel) {
  const PasskeyOn model("data/tiny");
  for (const int64_t length : {256, 512}) {
    const auto results = model.TryAll(length);
    EXPECT_LT(AccuracyOf(results).right, kTries);
    RecordProperty("right_at_" + std::to_string(length), std::to_string(AccuracyOf(results).right));
    for (const PasskeyResult& result : results) EXPECT_GT(result.nats, 0);
  }
}

}  // namespace
}  // namespace longrope
