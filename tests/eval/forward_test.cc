#include "eval/forward.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <malloc.h>

#include <numeric>

#include "eval/rope_builder.h"
#include "kernels/reference/reference_engine.h"
#include "tests/support/random_weights.h"
#include "tests/support/refusal.h"

namespace longrope {
namespace {

using ::testing::AllOf;
using ::testing::Each;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using testing::RefusalOf;

const ModelShape kShape{.layers = 2,
                        .hidden = 16,
                        .heads = 2,
                        .kv_heads = 1,
                        .head_dim = 8,
                        .ffn = 24,
                        .vocab = 50,
                        .norm_epsilon = 1e-5f,
                        .sliding_window = 0};

// An engine of round numbers: 5000 for weights, 100 a token in one layer, 300 in all.
class RoundEngine final : public Engine {
 public:
  std::string_view name() const override { return "round"; }
  std::string_view build() const override { return "by hand"; }
  int64_t Grain() const override { return 16; }
  int Threads() const override { return 3; }
  EngineBytes Bytes(const MemoryNeeds& needs) const override {
    return {needs.stored == DType::kF32 ? 0 : 5000,
            needs.tokens * (needs.scope == KvScope::kAllLayers ? 300 : 100)};
  }
  std::unique_ptr<Model> Bind(const ModelShape&, const WeightSource&, int64_t) const override {
    throw std::logic_error("nothing to bind");
  }
};

// Writes down what it is asked to do, in order; nats of a row are its number, even targets are the
// likeliest.
class Recorder final : public Model {
 public:
  mutable std::vector<std::string> calls;
  mutable std::vector<int32_t> opened, targets;
  mutable size_t asked_for_likeliest = 0;  // rows
  mutable KvScope scope = KvScope::kOneLayer;
  std::stop_source stop;
  size_t stop_after = SIZE_MAX;  // calls

  std::unique_ptr<Sequence> Open(std::span<const int32_t> tokens, const RopeTable&,
                                 KvScope asked) const override {
    opened.assign(tokens.begin(), tokens.end());
    scope = asked;
    return std::make_unique<Recorded>(*this);
  }

 private:
  class Recorded final : public Sequence {
   public:
    explicit Recorded(const Recorder& recorder) : recorder_(recorder) {}
    void Extend(int layer, Rows rows) override { Note("E" + std::to_string(layer), rows); }
    void Advance(int layer, Rows rows) override { Note("A" + std::to_string(layer), rows); }
    void Score(Rows rows, std::span<const int32_t> targets, std::span<double> nats,
               std::span<uint8_t> likeliest) override {
      Note("S", rows);
      recorder_.targets.insert(recorder_.targets.end(), targets.begin(), targets.end());
      std::iota(nats.begin(), nats.end(), static_cast<double>(rows.begin));
      recorder_.asked_for_likeliest += likeliest.size();
      for (size_t i = 0; i < likeliest.size(); ++i) likeliest[i] = targets[i] % 2 == 0;
    }

   private:
    void Note(const std::string& what, Rows rows) {
      recorder_.calls.push_back(what + " " + std::to_string(rows.begin) + "-" +
                                std::to_string(rows.end));
      if (recorder_.calls.size() == recorder_.stop_after) {
        std::stop_source(recorder_.stop).request_stop();
      }
    }
    const Recorder& recorder_;
  };
};

const std::vector<int32_t> kTokens = {9, 8, 7, 6, 5, 4};

std::optional<std::vector<double>> Walk(const Recorder& recorder, KvScope scope, int64_t chunk,
                                        std::vector<uint8_t> scored = {}) {
  return TokenNats(recorder, kShape, {scope, chunk, {}}, kTokens, {}, recorder.stop.get_token(),
                   scored);
}

TEST(TokenNats, WalksChunkByChunkThroughAllLayers) {
  const Recorder recorder;
  const auto nats = Walk(recorder, KvScope::kAllLayers, 2);
  EXPECT_THAT(recorder.calls, ElementsAre("E0 0-2", "A0 0-2", "E1 0-2", "A1 0-2", "S 0-2", "E0 2-4",
                                          "A0 2-4", "E1 2-4", "A1 2-4", "S 2-4", "E0 4-5", "A0 4-5",
                                          "E1 4-5", "A1 4-5", "S 4-5"));
  EXPECT_EQ(recorder.scope, KvScope::kAllLayers);
  EXPECT_THAT(*nats, ElementsAre(0, 1, 2, 3, 4));
}

TEST(TokenNats, WalksLayerByLayerOverAllChunks) {
  const Recorder recorder;
  const auto nats = Walk(recorder, KvScope::kOneLayer, 3);
  EXPECT_THAT(recorder.calls, ElementsAre("E0 0-3", "A0 0-3", "E0 3-5", "A0 3-5", "E1 0-3",
                                          "A1 0-3", "E1 3-5", "A1 3-5", "S 0-3", "S 3-5"));
  EXPECT_EQ(recorder.scope, KvScope::kOneLayer);
  EXPECT_THAT(*nats, ElementsAre(0, 1, 2, 3, 4));
}

TEST(TokenNats, EachTokenIsTheTargetOfTheOneBeforeIt) {
  const Recorder recorder;
  Walk(recorder, KvScope::kAllLayers, 4);
  EXPECT_THAT(recorder.opened, ElementsAre(9, 8, 7, 6, 5));  // the last token is only a target
  EXPECT_THAT(recorder.targets, ElementsAre(8, 7, 6, 5, 4));
}

TEST(ScoreEachToken, GivesTheSameNatsAndWhatIsLikeliest) {
  for (const KvScope scope : {KvScope::kAllLayers, KvScope::kOneLayer}) {
    const Recorder plain, recorder;
    const auto nats = Walk(plain, scope, 2, {1, 0, 1, 1, 1, 1});
    EXPECT_EQ(plain.asked_for_likeliest, 0u);
    const auto scores =
        ScoreEachToken(recorder, kShape, {scope, 2, {}}, kTokens, {}, {}, {{1, 0, 1, 1, 1, 1}});
    EXPECT_EQ(recorder.asked_for_likeliest, 5u);
    EXPECT_EQ(recorder.calls, plain.calls);
    EXPECT_EQ(recorder.targets, plain.targets);
    EXPECT_EQ(scores->nats, *nats);
    EXPECT_THAT(scores->likeliest, ElementsAre(0, 0, 1, 0, 1));  // targets -1, 7, 6, 5, 4
  }
}

TEST(ScoreEachToken, IsNothingAfterAStop) {
  Recorder recorder;
  recorder.stop_after = 3;
  EXPECT_FALSE(ScoreEachToken(recorder, kShape, {KvScope::kAllLayers, 2, {}}, kTokens, {},
                              recorder.stop.get_token())
                   .has_value());
}

TEST(TokenNats, LeavesOutTargetsThatAreNotScored) {
  const Recorder recorder;
  Walk(recorder, KvScope::kAllLayers, 4, {1, 0, 1, 1, 0, 1});
  EXPECT_THAT(recorder.targets, ElementsAre(kNotScored, 7, 6, kNotScored, 4));
}

TEST(TokenNats, StopsWithinAChunkOfRowsWhereverItIsAskedTo) {
  for (const KvScope scope : {KvScope::kAllLayers, KvScope::kOneLayer}) {
    const Recorder whole;
    ASSERT_TRUE(Walk(whole, scope, 2));
    for (size_t after = 1; after < whole.calls.size(); ++after) {
      Recorder recorder;
      recorder.stop_after = after;
      const auto nats = Walk(recorder, scope, 2);
      EXPECT_LE(recorder.calls.size(), after + 2) << after;  // the rest of a layer, a score
      EXPECT_EQ(nats.has_value(), recorder.calls.size() == whole.calls.size()) << after;
    }
  }
}

TEST(TokenNats, DoesNothingIfItIsStoppedBefore) {
  Recorder recorder;
  recorder.stop.request_stop();
  EXPECT_EQ(Walk(recorder, KvScope::kAllLayers, 2), std::nullopt);
  EXPECT_THAT(recorder.calls, ElementsAre());
}

TEST(TokenNats, NeedsTwoTokens) {
  const Recorder recorder;
  for (size_t count : {0u, 1u}) {
    EXPECT_THROW(TokenNats(recorder, kShape, {KvScope::kAllLayers, 2, {}},
                           std::span(kTokens).first(count), {}, {}),
                 std::invalid_argument);
  }
}

ForwardNeeds Needs(int64_t tokens, DType stored = DType::kBF16) {
  return {kShape, stored, {8, 10000, 0}, tokens};
}

TEST(PlanForward, AccountsForEverythingADocumentTakes) {
  const ForwardPlan plan = PlanScope(RoundEngine(), Needs(1000), KvScope::kOneLayer);
  EXPECT_EQ(plan.account.weights, 5000);
  EXPECT_EQ(plan.account.rope_table, 1000 * 8 * 4);  // 4 pairs, cos and sin
  EXPECT_EQ(plan.account.sequence, 100'000);
  EXPECT_EQ(plan.account.tokens, 1000 * (4 + 4 + 8));
  EXPECT_EQ(plan.account.Total(), 5000 + 32'000 + 100'000 + 16'000);
  EXPECT_EQ(PlanScope(RoundEngine(), Needs(1000, DType::kF32), KvScope::kOneLayer).account.weights,
            0);
}

TEST(PlanForward, TakesChunksIfTheyFitElseLayersElseRefuses) {
  const RoundEngine engine;
  constexpr int64_t kBase = 5000 + 32'000 + 16'000;
  EXPECT_EQ(PlanForward(engine, Needs(1000), kBase + 300'000).scope, KvScope::kAllLayers);
  EXPECT_EQ(PlanForward(engine, Needs(1000), kBase + 299'999).scope, KvScope::kOneLayer);
  EXPECT_EQ(PlanForward(engine, Needs(1000), kBase + 100'000).scope, KvScope::kOneLayer);
  EXPECT_EQ(PlanForward(engine, Needs(1000), kBase + 100'000).account.Total(), kBase + 100'000);
  EXPECT_NE(RefusalOf([&] { PlanForward(engine, Needs(1000), kBase + 99'999); }), "");
}

TEST(PlanForward, RefusesWithTheAccountAndTheKeyThatAllowsMore) {
  EXPECT_THAT(RefusalOf([] { PlanForward(RoundEngine(), Needs(1'000'000), 50'000'000); }),
              AllOf(HasSubstr("a document of 1000000 tokens needs weights 1 MB, rope table 32 MB, "
                              "sequence 100 MB, tokens 16 MB: 149 MB"),
                    HasSubstr("allowed are 50 MB (backend.memory_gb, --memory-gb)")));
}

TEST(PlanForward, ChunksAreWholeBlocksWithWorkForEveryThread) {
  for (const KvScope scope : {KvScope::kAllLayers, KvScope::kOneLayer}) {
    const int64_t chunk = PlanScope(RoundEngine(), Needs(1000), scope).chunk;
    EXPECT_EQ(chunk % 16, 0);
    EXPECT_GE(chunk, 16 * 3);
  }
}

// Bytes that malloc has handed out.
int64_t Allocated() {
  const auto info = mallinfo2();
  return static_cast<int64_t>(info.uordblks + info.hblkhd);
}

// False under a sanitizer, whose malloc keeps no account.
bool CanCountAllocations() {
  const int64_t before = Allocated();
  const std::vector<char> some(1 << 20);
  return Allocated() - before >= (1 << 20) && !some.empty();
}

TEST(MemoryAccount, EqualsWhatIsReallyAllocated) {
  if (!CanCountAllocations()) GTEST_SKIP() << "malloc is replaced";
  ModelShape shape = kShape;
  shape.hidden = 64;
  shape.vocab = 3000;
  shape.ffn = 100;
  const testing::RandomWeights weights(shape, {.dtype = DType::kF16});
  const std::vector<int32_t> tokens(5000, 3);
  const auto engine = MakeReferenceEngine<float>({.threads = 2});
  const RopeFactors plain{std::vector<float>(4, 1.0f), 0, 1};
  for (const KvScope scope : {KvScope::kAllLayers, KvScope::kOneLayer}) {
    const ForwardPlan plan = PlanScope(*engine, {shape, DType::kF16, {8, 10000, 0}, 5000}, scope);
    const auto expect_close = [](int64_t taken, int64_t accounted) {
      EXPECT_LE(taken, accounted + accounted / 50 + 32'768);
      EXPECT_GE(taken, accounted - accounted / 50 - 32'768);
    };
    int64_t before = Allocated();
    const RopeTable table = BuildRopeTable(plain, {8, 10000, 0}, 5000, 2);
    expect_close(Allocated() - before, plan.account.rope_table);
    before = Allocated();
    const auto model = engine->Bind(shape, weights, 5000);
    expect_close(Allocated() - before, plan.account.weights);
    before = Allocated();
    const auto sequence = model->Open(tokens, table, scope);
    sequence->Extend(0, {0, 4992});
    sequence->Advance(0, {0, 4992});
    expect_close(Allocated() - before, plan.account.sequence);
  }
}

}  // namespace
}  // namespace longrope
