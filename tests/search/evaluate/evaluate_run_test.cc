// Protocols of an evaluation, on data/tiny as it is.
#include "search/evaluate/evaluate_run.h"

#include <gtest/gtest.h>

#include "eval/backend.h"
#include "eval/model/model_folder.h"
#include "eval/protocols/passkey.h"
#include "eval/protocols/sliding_window.h"
#include "search/job/stage_documents.h"
#include "search/passkey_draws.h"
#include "tests/search/job/schedule.h"
#include "tests/support/refusal.h"

namespace longrope {
namespace {

using testing::Schedule;
using testing::SlurpFile;

// An evaluation of the model as it is, alone in its job.
struct Evaluation : Schedule {
  explicit Evaluation(const std::string& keys) {
    job = ResolveJob(
        ParseYaml("seed: 3\nmodel: {path: " + job.model.path + "}\ndata: {path: " + job.data.path +
                      "}\noutput: {folder: " + job.output.folder +
                      "}\nstages:\n  - {name: e, kind: evaluate, rows: [\"base:none\", "
                      "\"base:yarn@700\"], documents: 2, resamples: 100, " +
                      keys + "}\n",
                  "job.yaml"),
        "job");
  }
  Json Results() const {
    const auto path = Path("e/results.json");
    return ParseJson(SlurpFile(path), path.string());
  }
};

class Tiny {
 public:
  Tiny()
      : engine_(MakeEngine({})),
        folder_(testing::SourcePath("data/tiny"), {}),
        tokenizer(OpenTokenizer(testing::SourcePath("data/tiny").string(), 4096)),
        scorer(*engine_, folder_, {}) {}
  RopeFactors Factors(const std::string& row) const {
    const RopeShape shape = folder_.config().Rope();
    return row == "base:none" ? MethodFactors(RopeMethod::kNone, shape, 1, 0)
                              : MethodFactors(RopeMethod::kYarn, shape, 700.0 / 256, 700);
  }

 private:
  std::unique_ptr<Engine> engine_;
  ModelFolder folder_;

 public:
  std::unique_ptr<Tokenizer> tokenizer;
  Scorer scorer;
};

TEST(EvaluateRun, SlidesWindowsOfEachLengthOverTheSameTokens) {
  Evaluation evaluation(
      "lengths: [128, 256], protocols: [sliding], stride: 64, sliding_tokens: 500");
  ASSERT_EQ(evaluation.Start(), RunEnd::kDone);
  const Json results = evaluation.Results();
  ASSERT_EQ(results["cells"].size(), 4u);
  const Tiny tiny;
  StageOptions stage = evaluation.job.stages[0];
  stage.length = 500;
  const auto documents =
      DrawStageDocuments(evaluation.job, stage, {.tokenizer = tiny.tokenizer.get()});
  for (const Json& cell : results["cells"]) {
    const RopeFactors factors = tiny.Factors(cell["row"].get<std::string>());
    Score total;
    for (const Document& document : documents) {
      const auto score =
          *ScoreInWindows(document.tokens, {cell["length"].get<int64_t>(), 64},
                          [&](std::span<const int32_t> tokens, std::span<const uint8_t> scored) {
                            return tiny.scorer.ScoreTokens(tokens, factors, {}, scored);
                          });
      total.nats += score.nats;
      total.tokens += score.tokens;
    }
    EXPECT_EQ(cell["tokens"].get<int64_t>(), 2 * 499);
    EXPECT_EQ(cell["perplexity"].get<double>(), Perplexity(total.nats, total.tokens));
  }
}

TEST(EvaluateRun, AsksForSeededPasskeys) {
  Evaluation evaluation("lengths: [128, 200], protocols: [passkey], tries: 3");
  ASSERT_EQ(evaluation.Start(), RunEnd::kDone);
  const Json results = evaluation.Results();
  ASSERT_EQ(results["cells"].size(), 4u);
  const Tiny tiny;
  for (const Json& cell : results["cells"]) {
    const RopeFactors factors = tiny.Factors(cell["row"].get<std::string>());
    const auto length = cell["length"].get<int64_t>();
    ASSERT_EQ(cell["tries"].size(), 3u);
    int right = 0;
    for (size_t i = 0; i < 3; ++i) {
      const PasskeyDraw draw = DrawPasskeys(3, length, 3)[i];
      const auto result =
          *TryPasskey(MakePasskeyPrompt(*tiny.tokenizer, length, draw),
                      [&](std::span<const int32_t> tokens, std::span<const uint8_t> scored) {
                        return tiny.scorer.ScoreEachToken(tokens, factors, {}, scored);
                      });
      EXPECT_EQ(cell["tries"][i]["nats"].get<double>(), result.nats);
      EXPECT_EQ(cell["tries"][i]["depth"].get<double>(), result.depth);
      EXPECT_EQ(cell["tries"][i]["right"].get<bool>(), result.right);
      right += result.right;
    }
    EXPECT_EQ(cell["accuracy"].get<double>(), right / 3.0);
  }
}

TEST(EvaluateRun, TriesPiAndNtkWithEveryNumberOfStartTokens) {
  Evaluation evaluation("lengths: [300], protocols: [start-tokens], start_tokens: [0, 5]");
  ASSERT_EQ(evaluation.Start(), RunEnd::kDone);
  const Json results = evaluation.Results();
  ASSERT_EQ(results["cells"].size(), 4u);
  std::vector<std::pair<std::string, int64_t>> tried;
  for (const Json& cell : results["cells"]) {
    tried.emplace_back(cell["row"], cell["factors"]["start_tokens"]);
  }
  EXPECT_EQ(tried, (std::vector<std::pair<std::string, int64_t>>{
                       {"pi", 0}, {"pi", 5}, {"ntk", 0}, {"ntk", 5}}));
  EXPECT_NE(results["cells"][0]["perplexity"], results["cells"][1]["perplexity"]);
}

// scores.csv may lose its last lines in a crash: what is left is not measured again.
TEST(EvaluateRun, GoesOnFromWhatWasMeasured) {
  const std::string keys = "lengths: [128, 200], protocols: [perplexity, sliding], stride: 100";
  Evaluation whole(keys), cut(keys);
  ASSERT_EQ(whole.Start(), RunEnd::kDone);
  ASSERT_EQ(cut.Start(), RunEnd::kDone);
  const auto scores = cut.Path("e/scores.csv");
  const std::string lines = SlurpFile(scores);
  for (const char* name : {"e/results.json", "e/table.csv", "e/measurements.csv"}) {
    std::filesystem::remove(cut.Path(name));
  }
  testing::WriteFile(scores, lines.substr(0, lines.size() / 2));
  ASSERT_EQ(cut.Resume(), RunEnd::kDone);
  for (const char* name : {"e/results.json", "e/table.csv", "e/measurements.csv"}) {
    EXPECT_EQ(SlurpFile(cut.Path(name)), SlurpFile(whole.Path(name))) << name;
  }
}

TEST(EvaluateRun, RefusesWindowsThatLeaveTokensOut) {
  EXPECT_REFUSED(Evaluation("lengths: [128], protocols: [sliding], stride: 200"),
                 "stages.e.stride: 200; allowed with protocol sliding: 1 to the smallest");
  EXPECT_REFUSED(Evaluation("lengths: [128], protocols: [sliding], stride: 20, sliding_tokens: 99"),
                 "stages.e.sliding_tokens: 99");
}

}  // namespace
}  // namespace longrope
