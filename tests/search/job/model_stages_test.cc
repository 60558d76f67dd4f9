// Documents and objectives of a stage, on the tiny model.
#include "search/job/model_stages.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <numeric>
#include <set>

#include "eval/rope_methods.h"
#include "search/job/job_texts.h"
#include "search/job/stage_documents.h"
#include "tests/search/job/small_run.h"
#include "tests/support/compare.h"
#include "tests/support/refusal.h"
#include "tests/support/temp_folder.h"

namespace longrope {
namespace {

using testing::CloseRelative;
using testing::SlurpFile;
using testing::SourcePath;
using testing::TempFolder;

constexpr int64_t kOriginal = 256;

class ModelStagesTest : public ::testing::Test {
 protected:
  ModelStagesTest() {
    const std::string passage = SlurpFile(SourcePath("tests/golden/transformers/passage.txt"));
    for (int i = 0; i < 4; ++i) {
      testing::WriteFile(folder_ / (std::to_string(i) + ".txt"),
                         passage.substr(static_cast<size_t>(900 * i), 5000));
    }
    job_ = testing::SmallJob("");
    job_.model.path = SourcePath("data/tiny").string();
    job_.data.path = folder_.path().string();
    job_.backend.threads = 2;
    job_.stages[0].length = 700;
  }

  StageOptions& Stage() { return job_.stages[0]; }
  std::vector<Document> Draw() {
    const auto tokenizer = OpenTokenizer(job_.model.path, 4096);
    return DrawStageDocuments(job_, Stage(), {.tokenizer = tokenizer.get()});
  }
  // Of the stage's documents under plain YaRN.
  std::vector<Score> Scores(const RopeFactors& factors) {
    ModelStages stages(job_, observer_, folder_ / "key_tokens.csv");
    Evaluator* evaluator = stages.For(Stage(), job_.model.path, {});
    std::vector<Task> tasks;
    for (int i = 0; i < 3; ++i) tasks.push_back({0, i, factors});
    std::vector<Score> scores(3);
    evaluator->Run(tasks,
                   [&](const Task& task, const Score& score) {
                     scores[static_cast<size_t>(task.document)] = score;
                   },
                   {});
    return scores;
  }
  RopeFactors Yarn(int64_t length) const {
    return MethodFactors(RopeMethod::kYarn, {64, 10000, kOriginal},
                         static_cast<double>(length) / kOriginal, length);
  }

  TempFolder folder_;
  Job job_;
  testing::KeepingObserver observer_;
};

TEST_F(ModelStagesTest, WindowsAreTheFirstTokensOrSeededOnes) {
  const auto first = Draw();
  for (const Document& document : first) EXPECT_EQ(document.offset, 0);
  Stage().window = "random";
  const auto random = Draw();
  std::set<int64_t> offsets;
  for (size_t i = 0; i < random.size(); ++i) {
    EXPECT_EQ(random[i].title, first[i].title) << "the draw of books does not depend on windows";
    EXPECT_EQ(random[i].tokens.size(), 700u);
    EXPECT_EQ(random[i].tokens[0], 1) << "BOS";
    offsets.insert(random[i].offset);
    // The same ids as in the whole book.
    const auto book = OpenTokenizer(job_.model.path, 4096)
                          ->Encode(SlurpFile(folder_ / (random[i].title + ".txt")));
    EXPECT_TRUE(std::equal(random[i].tokens.begin() + 1, random[i].tokens.end(),
                           book.begin() + 1 + random[i].offset));
  }
  EXPECT_GT(offsets.size(), 1u);
  EXPECT_EQ(Draw()[0].offset, random[0].offset);
  job_.seed += 1;
  std::set<int64_t> others;
  for (const Document& document : Draw()) others.insert(document.offset);
  EXPECT_NE(others, offsets);
  job_.seed -= 1;
  Stage().name = "other";
  others.clear();
  for (const Document& document : Draw()) others.insert(document.offset);
  EXPECT_NE(others, offsets);
  EXPECT_NE(DocumentText(random[0]).find("from token " + std::to_string(random[0].offset)),
            std::string::npos);
}

TEST_F(ModelStagesTest, TheTailIsWhatStandsBeyondTheOriginalLength) {
  const RopeFactors yarn = Yarn(700);
  const auto all = Scores(yarn);
  EXPECT_EQ(all[0].tokens, 699);
  Stage().length = kOriginal;
  const auto head = Scores(yarn);  // positions 1 ... 255
  Stage().length = 700;
  Stage().objective = "tail";
  const auto tail = Scores(yarn);
  for (size_t i = 0; i < 3; ++i) {
    EXPECT_EQ(tail[i].tokens, 700 - kOriginal);
    EXPECT_TRUE(CloseRelative(tail[i].nats + head[i].nats, all[i].nats, 1e-6));
  }
}

TEST_F(ModelStagesTest, KeyTokensAreFoundOnceByTheStatedReference) {
  Stage().objective = "key";
  Stage().key_rule = {0.5, -4};
  const RopeFactors yarn = Yarn(700);
  const auto key = Scores(yarn);
  Stage().key_rule.gain = 1;
  const auto fewer = Scores(yarn);
  for (size_t i = 0; i < 3; ++i) {
    EXPECT_GT(fewer[i].tokens, 0);
    EXPECT_LT(fewer[i].tokens, key[i].tokens);
    EXPECT_LT(key[i].tokens, 700 - kOriginal);
    // Under the reference's own factors each of them has a ln p above the floor.
    EXPECT_LT(key[i].nats / static_cast<double>(key[i].tokens), 4);
  }
  // They are the reference's, whatever factors are scored.
  const auto plain = Scores(MethodFactors(RopeMethod::kPi, {64, 10000, kOriginal}, 2.8, 700));
  for (size_t i = 0; i < 3; ++i) EXPECT_EQ(plain[i].tokens, fewer[i].tokens);
  Stage().key_method = "pi";
  EXPECT_NE(Scores(yarn)[0].tokens, fewer[0].tokens);
  int told = 0, looked = 0;
  for (const std::string& message : observer_.messages) {
    const bool looks = message.find("looks for key tokens in '") != std::string::npos;
    looked += looks;
    told += !looks && message.find("key tokens in '") != std::string::npos;
  }
  EXPECT_EQ(told, 4 * 3);
  EXPECT_EQ(looked, 3 * 3) << "once for each document and rule or reference";
}

TEST_F(ModelStagesTest, AnotherModelMayBeTheReferenceIfItReadsTheSameIds) {
  Stage().objective = "key";
  Stage().key_rule = {0.5, -4};
  const auto own = Scores(Yarn(700));
  Stage().key_model = job_.model.path;
  EXPECT_EQ(Scores(Yarn(700)), own);
  ModelStages stages(job_, observer_, folder_ / "key_tokens.csv");
  const TempFolder other;
  for (const char* file : {"config.json", "model.safetensors", "tokenizer.model"}) {
    std::filesystem::copy(SourcePath("data/tiny") / file, other / file);
  }
  testing::WriteFile(other / "tokenizer_config.json", R"({"add_bos_token": false})");
  Stage().key_model = other.path().string();
  EXPECT_REFUSED(stages.For(Stage(), job_.model.path, {}), "stages.extend.key_model: ");
}

TEST_F(ModelStagesTest, AReferenceMayHaveLearnedOnLongerTexts) {
  const TempFolder longer;
  for (const char* file : {"model.safetensors", "tokenizer.model", "tokenizer_config.json"}) {
    std::filesystem::copy(SourcePath("data/tiny") / file, longer / file);
  }
  std::string config = SlurpFile(SourcePath("data/tiny/config.json"));
  const size_t at = config.find("256", config.find("max_position_embeddings"));
  testing::WriteFile(longer / "config.json", config.replace(at, 3, "4096"));
  Stage().objective = "key";
  Stage().key_rule = {0.1, -9};
  Stage().key_model = longer.path().string();
  const auto plain = Scores(Yarn(700));  // its rotation is plain up to 4096 tokens
  Stage().key_model.clear();
  Stage().key_method = "none";
  EXPECT_EQ(Scores(Yarn(700)), plain);
}

TEST_F(ModelStagesTest, KeyTokensThatWereFoundAreNotLookedForAgain) {
  Stage().objective = "key";
  Stage().key_rule = {0.5, -4};
  const auto found = Scores(Yarn(700));
  const auto looked = [&] {
    return std::ranges::count_if(observer_.messages, [](const std::string& line) {
      return line.find("looks for key tokens in") != std::string::npos;
    });
  };
  EXPECT_EQ(looked(), 3);
  ModelStages stages(job_, observer_, folder_ / "key_tokens.csv");
  Evaluator* evaluator = stages.For(Stage(), job_.model.path, {});
  ASSERT_NE(evaluator, nullptr);
  EXPECT_EQ(looked(), 3);
  bool told = false;
  for (const auto& [name, value] : evaluator->Fingerprint()) {
    told = told || (name == "document 0 scored" &&
                    value.starts_with(std::to_string(found[0].tokens) + " ") &&
                    value.find(", yarn, key_gain 0.5, key_floor -4") != std::string::npos);
  }
  EXPECT_TRUE(told);
  Stage().key_rule.gain = 0.6;
  ASSERT_NE(stages.For(Stage(), job_.model.path, {}), nullptr);
  EXPECT_EQ(looked(), 6) << "another rule, other tokens";
}

TEST_F(ModelStagesTest, AReferenceThatIsNotThereIsNamedByItsKey) {
  Stage().objective = "key";
  Stage().key_model = "/nowhere/model";
  ModelStages stages(job_, observer_, folder_ / "key_tokens.csv");
  EXPECT_REFUSED(stages.For(Stage(), job_.model.path, {}),
                 "stages.extend.key_model: /nowhere/model");
}

TEST_F(ModelStagesTest, ADocumentWithoutKeyTokensIsRefused) {
  Stage().objective = "key";
  Stage().key_rule.gain = 50;
  ModelStages stages(job_, observer_, folder_ / "key_tokens.csv");
  EXPECT_REFUSED(stages.For(Stage(), job_.model.path, {}),
                 "stages.extend.objective: key: no token of '");
}

TEST_F(ModelStagesTest, AStopEndsTheSearchForKeyTokens) {
  struct StoppingObserver final : RunObserver {
    std::stop_source stop;
    int looked = 0;
    void OnMessage(const std::string& text) override {
      if (text.find("looks for key tokens in") == std::string::npos) return;
      ++looked;
      stop.request_stop();
    }
    void OnWarning(const std::string&) override {}
    void OnProgress(const Progress&) override {}
  } observer;
  Stage().objective = "key";
  ModelStages stages(job_, observer, folder_ / "key_tokens.csv");
  EXPECT_EQ(stages.For(Stage(), job_.model.path, observer.stop.get_token()), nullptr);
  EXPECT_EQ(observer.looked, 1);
}

TEST_F(ModelStagesTest, TheTokenizerIsOpenedOnceForAVocabulary) {
  JobTexts texts(job_, {});
  const Tokenizer* first = texts.Open(4096).tokenizer;
  EXPECT_EQ(texts.Open(4096).tokenizer, first);
  EXPECT_THAT(testing::RefusalOf([&] { texts.Open(100); }), ::testing::HasSubstr("100"));
  EXPECT_EQ(texts.Open(4096).tokenizer, first);
}

TEST_F(ModelStagesTest, AStopEndsTheReadingOfTexts) {
  std::stop_source stopped;
  stopped.request_stop();
  ModelStages stages(job_, observer_, folder_ / "key_tokens.csv");
  EXPECT_EQ(stages.For(Stage(), job_.model.path, stopped.get_token()), nullptr);
}

}  // namespace
}  // namespace longrope
