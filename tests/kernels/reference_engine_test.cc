#include "kernels/reference/reference_engine.h"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <numeric>

#include "eval/forward.h"
#include "eval/rope_builder.h"
#include "tests/support/compare.h"
#include "tests/support/naive_transformer.h"
#include "tests/support/random_weights.h"

namespace longrope {
namespace {

using testing::CloseRelative;
using testing::RandomWeights;

constexpr double kBase = 10000;

// Odd on purpose: nothing is a multiple of a vector, a tile or a block.
ModelShape OddShape() {
  return {.layers = 2,
          .hidden = 27,
          .heads = 6,
          .kv_heads = 2,
          .head_dim = 6,
          .ffn = 37,
          .vocab = 101,
          .norm_epsilon = 1e-5f,
          .sliding_window = 0};
}

std::vector<int32_t> RandomTokens(int64_t count, int vocab) {
  std::vector<int32_t> tokens;
  uint32_t state = 77;
  for (int64_t i = 0; i < count; ++i) {
    state = state * 1664525u + 1013904223u;
    tokens.push_back(static_cast<int32_t>((state >> 8) % static_cast<uint32_t>(vocab)));
  }
  return tokens;
}

RopeFactors Factors(int head_dim, int64_t start_tokens, double m = 1.09) {
  RopeFactors factors{{}, start_tokens, m};
  for (int i = 0; i < head_dim / 2; ++i) {
    factors.lambda.push_back(1.0f + 1.37f * static_cast<float>(i));
  }
  return factors;
}

std::vector<double> EngineNats(const Engine& engine, const ModelShape& shape,
                               const WeightSource& weights, const std::vector<int32_t>& tokens,
                               const RopeFactors& factors, KvScope scope = KvScope::kAllLayers,
                               int64_t chunk = 0) {
  const auto model = engine.Bind(shape, weights, INT64_MAX);
  const auto count = static_cast<int64_t>(tokens.size());
  const RopeTable table =
      BuildRopeTable(factors, {shape.head_dim, kBase, 0}, count, engine.Threads());
  ForwardPlan plan;
  plan.scope = scope;
  plan.chunk = chunk > 0 ? chunk : engine.Grain() * 2;
  return *TokenNats(*model, shape, plan, tokens, table, {});
}

void ExpectClose(const std::vector<double>& a, const std::vector<double>& b, double tolerance) {
  ASSERT_EQ(a.size(), b.size());
  for (size_t i = 0; i < a.size(); ++i) {
    ASSERT_TRUE(CloseRelative(a[i], b[i], tolerance)) << "row " << i;
  }
}

// For weights with outliers: where two keys of scores in the hundreds nearly tie, the softmax of
// that row is ill-conditioned and no float32 engine can hold it. Such rows are few and the total,
// which a search ranks by, is not among them.
void ExpectMostlyClose(const std::vector<double>& a, const std::vector<double>& b) {
  ASSERT_EQ(a.size(), b.size());
  size_t close = 0;
  for (size_t i = 0; i < a.size(); ++i) close += bool{CloseRelative(a[i], b[i], 1e-5)};
  EXPECT_GE(close, a.size() * 9 / 10);
  EXPECT_TRUE(CloseRelative(std::accumulate(a.begin(), a.end(), 0.0),
                            std::accumulate(b.begin(), b.end(), 0.0), 5e-5));
}

struct NaiveCase {
  int64_t length, start_tokens, window;
};

class DoubleEngine : public ::testing::TestWithParam<NaiveCase> {};

TEST_P(DoubleEngine, EqualsTheNaiveTransformer) {
  const auto [length, start_tokens, window] = GetParam();
  ModelShape shape = OddShape();
  shape.sliding_window = window;
  const RandomWeights weights(shape, {.seed = 5, .outliers = true});
  const auto tokens = RandomTokens(length, shape.vocab);
  const RopeFactors factors = Factors(shape.head_dim, start_tokens);
  const auto engine = MakeReferenceEngine<double>({.threads = 2});
  // The table holds float32 cos and sin: 6e-8 relative, amplified by layers and outliers.
  ExpectClose(EngineNats(*engine, shape, weights, tokens, factors),
              testing::NaiveNats(shape, weights, tokens, factors, kBase), 2e-4);
}

INSTANTIATE_TEST_SUITE_P(
    StartTokensAndOddLengths, DoubleEngine,
    ::testing::Values(NaiveCase{2, 0, 0}, NaiveCase{3, 1, 0}, NaiveCase{128, 0, 0},
                      NaiveCase{129, 1, 0}, NaiveCase{130, 28, 0}, NaiveCase{301, 0, 0},
                      NaiveCase{301, 1, 0}, NaiveCase{301, 28, 0}, NaiveCase{301, 256, 0},
                      NaiveCase{385, 256, 0}, NaiveCase{301, 28, 1}, NaiveCase{301, 28, 37},
                      NaiveCase{301, 0, 200}, NaiveCase{260, 0, 128}, NaiveCase{100, 0, 100}));

// Against exact tables, so that nothing but rounding in double is left.
TEST(DoubleEngine, EqualsTheNaiveTransformerToTwelveDigitsWithoutRotation) {
  ModelShape shape = OddShape();
  shape.vocab = 1100;  // more than one tile of the head
  const RandomWeights weights(shape, {.seed = 6, .dtype = DType::kF16});
  const auto tokens = RandomTokens(200, shape.vocab);
  RopeFactors still = Factors(shape.head_dim, 0, 1);
  still.lambda.assign(3, 1e38f);  // every angle is zero
  ExpectClose(
      EngineNats(*MakeReferenceEngine<double>({.threads = 2}), shape, weights, tokens, still),
      testing::NaiveNats(shape, weights, tokens, still, kBase), 1e-12);
}

TEST(FloatEngine, EqualsTheDoubleOneOnHostileShapes) {
  for (const DType dtype : {DType::kF32, DType::kF16, DType::kBF16}) {
    for (const bool outliers : {false, true}) {
      ModelShape shape = OddShape();
      shape.head_dim = 2;
      shape.vocab = 1300;
      const RandomWeights weights(shape, {.seed = 9, .dtype = dtype, .outliers = outliers});
      const auto tokens = RandomTokens(300, shape.vocab);
      const RopeFactors factors = Factors(2, 4);
      const auto nats =
          EngineNats(*MakeReferenceEngine<float>({.threads = 2}), shape, weights, tokens, factors);
      const auto exact =
          EngineNats(*MakeReferenceEngine<double>({.threads = 2}), shape, weights, tokens, factors);
      if (outliers) {
        ExpectMostlyClose(nats, exact);
      } else {
        ExpectClose(nats, exact, 2e-6);
      }
    }
  }
}

TEST(ReferenceEngine, LambdaOneWithAnyStartTokensIsPlainRope) {
  const ModelShape shape = OddShape();
  const RandomWeights weights(shape, {});
  const auto tokens = RandomTokens(300, shape.vocab);
  const auto engine = MakeReferenceEngine<float>({.threads = 2});
  const RopeFactors plain{std::vector<float>(3, 1.0f), 0, 1};
  const auto expected = EngineNats(*engine, shape, weights, tokens, plain);
  for (int64_t start : {1, 28, 256, 4096}) {
    EXPECT_EQ(EngineNats(*engine, shape, weights, tokens, {plain.lambda, start, 1}), expected);
  }
  EXPECT_NE(EngineNats(*engine, shape, weights, tokens, {plain.lambda, 0, 1.01}), expected);
}

TEST(ReferenceEngine, GivesEqualBitsForAnyThreadsChunksAndWalk) {
  ModelShape shape = OddShape();
  for (int64_t window : {0, 150}) {
    shape.sliding_window = window;
    const RandomWeights weights(shape, {.seed = 3, .dtype = DType::kBF16});
    const auto tokens = RandomTokens(1000, shape.vocab);
    const RopeFactors factors = Factors(shape.head_dim, 12);
    const auto expected =
        EngineNats(*MakeReferenceEngine<float>({.threads = 1}), shape, weights, tokens, factors);
    for (int threads : {1, 2, 3}) {
      const auto engine = MakeReferenceEngine<float>({.threads = threads});
      for (int64_t chunk : {128, 384, 1024}) {
        for (KvScope scope : {KvScope::kAllLayers, KvScope::kOneLayer}) {
          EXPECT_EQ(EngineNats(*engine, shape, weights, tokens, factors, scope, chunk), expected)
              << threads << " threads, chunks of " << chunk;
        }
      }
    }
  }
}

TEST(ReferenceEngine, BothInstructionSetsAgreeAndSayTheirNames) {
  const ModelShape shape = OddShape();
  const RandomWeights weights(shape, {});
  const auto tokens = RandomTokens(200, shape.vocab);
  const RopeFactors factors = Factors(shape.head_dim, 0);
  const auto base =
      MakeReferenceEngine<float>({.threads = 1, .isa = ReferenceOptions::Isa::kX8664});
  EXPECT_EQ(base->name(), "reference/f32/x86-64");
  const auto nats = EngineNats(*base, shape, weights, tokens, factors);
  if (!__builtin_cpu_supports("avx2") || !__builtin_cpu_supports("fma")) {
    EXPECT_THROW(MakeReferenceEngine<float>({.isa = ReferenceOptions::Isa::kX8664V3}),
                 std::invalid_argument);
    return;
  }
  const auto v3 =
      MakeReferenceEngine<float>({.threads = 1, .isa = ReferenceOptions::Isa::kX8664V3});
  EXPECT_EQ(v3->name(), "reference/f32/x86-64-v3");
  const auto fused = EngineNats(*v3, shape, weights, tokens, factors);
  ExpectClose(fused, nats, 1e-4);
  EXPECT_NE(fused, nats);  // other kernels did run: a fused multiply-add rounds once
  EXPECT_EQ(MakeReferenceEngine<double>({})->name(), "reference/f64/x86-64-v3");
}

TEST(ReferenceEngine, NonFiniteWeightsGiveNonFiniteNats) {
  const ModelShape shape = OddShape();
  const auto tokens = RandomTokens(150, shape.vocab);
  for (float bad : {std::nanf(""), std::numeric_limits<float>::infinity()}) {
    RandomWeights weights(shape, {});
    *weights.Mutable(WeightRole::kDown, 1, 5) = bad;
    const auto nats = EngineNats(*MakeReferenceEngine<float>({.threads = 2}), shape, weights,
                                 tokens, Factors(shape.head_dim, 0));
    const double total = std::accumulate(nats.begin(), nats.end(), 0.0);
    EXPECT_FALSE(std::isfinite(total));
  }
}

TEST(ReferenceEngine, TargetsThatAreNotScoredAreZero) {
  const ModelShape shape = OddShape();
  const RandomWeights weights(shape, {});
  const auto tokens = RandomTokens(400, shape.vocab);
  const auto engine = MakeReferenceEngine<float>({.threads = 2});
  const auto model = engine->Bind(shape, weights, INT64_MAX);
  const RopeFactors factors = Factors(shape.head_dim, 0);
  const RopeTable table = BuildRopeTable(factors, {shape.head_dim, kBase, 0}, 400, 2);
  const auto all = *TokenNats(*model, shape, {KvScope::kAllLayers, 256, {}}, tokens, table, {});
  std::vector<uint8_t> scored(tokens.size());
  std::fill(scored.begin() + 301, scored.end(), uint8_t{1});
  const auto some =
      *TokenNats(*model, shape, {KvScope::kAllLayers, 256, {}}, tokens, table, {}, scored);
  for (size_t i = 0; i < 300; ++i) EXPECT_EQ(some[i], 0);
  for (size_t i = 300; i < all.size(); ++i) EXPECT_EQ(some[i], all[i]);
}

TEST(ReferenceEngine, RefusesTensorsThatDoNotFitTheShape) {
  const ModelShape shape = OddShape();
  const RandomWeights weights(shape, {});
  ModelShape other = shape;
  other.ffn += 1;
  const auto engine = MakeReferenceEngine<float>({});
  EXPECT_THROW(engine->Bind(other, weights, INT64_MAX), std::invalid_argument);
  other = shape;
  other.vocab -= 1;
  EXPECT_THROW(engine->Bind(other, weights, INT64_MAX), std::invalid_argument);
}

TEST(ReferenceEngine, RefusesRowsOutOfOrderOrOffTheGrain) {
  const ModelShape shape = OddShape();
  const RandomWeights weights(shape, {});
  const auto engine = MakeReferenceEngine<float>({});
  const auto model = engine->Bind(shape, weights, INT64_MAX);
  const RopeTable table = BuildRopeTable(Factors(6, 0), {6, kBase, 0}, 300, 1);
  const auto sequence = model->Open(RandomTokens(300, shape.vocab), table, KvScope::kAllLayers);
  EXPECT_THROW(sequence->Extend(0, {64, 128}), std::invalid_argument);
  EXPECT_THROW(sequence->Extend(0, {0, 100}), std::invalid_argument);
  EXPECT_THROW(sequence->Extend(0, {0, 301}), std::invalid_argument);
  EXPECT_THROW(model->Open(RandomTokens(301, shape.vocab), table, KvScope::kAllLayers),
               std::invalid_argument);
}

}  // namespace
}  // namespace longrope
