// Which targets are the likeliest, as Sequence::Score tells (kernels/engine.h).
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <limits>

#include "eval/rope_builder.h"
#include "kernels/reference/reference_engine.h"
#include "tests/support/naive_transformer.h"
#include "tests/support/random_weights.h"

namespace longrope {
namespace {

using testing::RandomWeights;
using Isa = ReferenceOptions::Isa;

constexpr double kBase = 10000;
const RopeFactors kFactors{{1.0f, 2.5f, 4.0f}, 4, 1.05};

// Nothing is a multiple of a vector, a tile or a block.
ModelShape OddShape(int vocab) {
  return {.layers = 2,
          .hidden = 27,
          .heads = 6,
          .kv_heads = 2,
          .head_dim = 6,
          .ffn = 37,
          .vocab = vocab,
          .norm_epsilon = 1e-5f,
          .sliding_window = 0};
}

std::vector<int32_t> RandomTokens(int64_t count, int vocab) {
  std::vector<int32_t> tokens;
  uint32_t state = 78;
  for (int64_t i = 0; i < count; ++i) {
    state = state * 1664525u + 1013904223u;
    tokens.push_back(static_cast<int32_t>((state >> 8) % static_cast<uint32_t>(vocab)));
  }
  return tokens;
}

struct Scored {
  std::vector<double> nats;
  std::vector<uint8_t> likeliest;

  bool operator==(const Scored&) const = default;
};

struct WalkOptions {
  KvScope scope = KvScope::kAllLayers;
  int64_t chunk = 128;
  bool ask = true;  // for likeliest
};

// Every row of `tokens` with a target of its own.
Scored ScoreRows(const Engine& engine, const ModelShape& shape, const WeightSource& weights,
                 const std::vector<int32_t>& tokens, const std::vector<int32_t>& targets,
                 const WalkOptions& options = {}) {
  const auto count = static_cast<int64_t>(tokens.size());
  const RopeTable table =
      BuildRopeTable(kFactors, {shape.head_dim, kBase, 0}, count, engine.Threads());
  const auto model = engine.Bind(shape, weights, INT64_MAX);
  const auto sequence = model->Open(tokens, table, options.scope);
  for (int layer = 0; layer < shape.layers; ++layer) {
    for (int64_t begin = 0; begin < count; begin += options.chunk) {
      const Rows rows{begin, std::min(count, begin + options.chunk)};
      sequence->Extend(layer, rows);
      sequence->Advance(layer, rows);
    }
  }
  // What was there before must not be left over.
  Scored scored{std::vector<double>(tokens.size(), 99), std::vector<uint8_t>(tokens.size(), 99)};
  for (int64_t begin = 0; begin < count; begin += options.chunk) {
    const auto from = static_cast<size_t>(begin);
    const auto rows = static_cast<size_t>(std::min(options.chunk, count - begin));
    sequence->Score(
        {begin, begin + static_cast<int64_t>(rows)}, std::span(targets).subspan(from, rows),
        std::span(scored.nats).subspan(from, rows),
        options.ask ? std::span(scored.likeliest).subspan(from, rows) : std::span<uint8_t>());
  }
  return scored;
}

// The argmax of every row, by the naive transformer.
std::vector<int32_t> NaiveArgmax(const ModelShape& shape, const WeightSource& weights,
                                 std::vector<int32_t> tokens) {
  tokens.push_back(0);  // only a target
  return testing::NaiveScoresOf(shape, weights, tokens, kFactors, kBase).likeliest;
}

// Half of the rows ask for the argmax, the others for its neighbours or for anything.
std::vector<int32_t> MixedTargets(const std::vector<int32_t>& argmax, int vocab) {
  std::vector<int32_t> targets = RandomTokens(static_cast<int64_t>(argmax.size()), vocab);
  for (size_t i = 0; i < targets.size(); ++i) {
    if (i % 4 < 2) targets[i] = argmax[i];
    if (i % 4 == 2) targets[i] = (argmax[i] + 1) % vocab;
  }
  return targets;
}

struct Sizes {
  int64_t length;
  int vocab;
};

class Likeliest : public ::testing::TestWithParam<Sizes> {};

TEST_P(Likeliest, IsTheArgmaxOfTheNaiveTransformer) {
  const auto [length, vocab] = GetParam();
  const ModelShape shape = OddShape(vocab);
  const RandomWeights weights(shape, {.seed = 5});
  const auto tokens = RandomTokens(length, vocab);
  const auto argmax = NaiveArgmax(shape, weights, tokens);
  const auto targets = MixedTargets(argmax, vocab);
  std::vector<uint8_t> expected;
  for (size_t i = 0; i < targets.size(); ++i) expected.push_back(targets[i] == argmax[i]);
  for (const Isa isa : {Isa::kX8664, Isa::kBest}) {
    const auto exact = MakeReferenceEngine<double>({.threads = 2, .isa = isa});
    EXPECT_EQ(ScoreRows(*exact, shape, weights, tokens, targets).likeliest, expected);
    const auto engine = MakeReferenceEngine<float>({.threads = 2, .isa = isa});
    EXPECT_EQ(ScoreRows(*engine, shape, weights, tokens, targets).likeliest, expected);
  }
}

// A tile of the head has 1024 words.
INSTANTIATE_TEST_SUITE_P(OddSizes, Likeliest,
                         ::testing::Values(Sizes{1, 1}, Sizes{3, 2}, Sizes{9, 23}, Sizes{129, 3},
                                           Sizes{385, 7}, Sizes{130, 1023}, Sizes{130, 1025},
                                           Sizes{130, 2100}));

TEST(Likeliest, IsTheSameForAnyThreadsChunksAndWalkAndCostsTheNatsNoBit) {
  const ModelShape shape = OddShape(1100);
  const RandomWeights weights(shape, {.seed = 3, .dtype = DType::kBF16});
  const auto tokens = RandomTokens(700, shape.vocab);
  const auto targets = MixedTargets(NaiveArgmax(shape, weights, tokens), shape.vocab);
  const Scored expected =
      ScoreRows(*MakeReferenceEngine<float>({.threads = 1}), shape, weights, tokens, targets);
  EXPECT_GE(std::ranges::count(expected.likeliest, 1), 350);
  for (int threads : {1, 2, 3}) {
    const auto engine = MakeReferenceEngine<float>({.threads = threads});
    for (int64_t chunk : {128, 384, 1024}) {
      for (KvScope scope : {KvScope::kAllLayers, KvScope::kOneLayer}) {
        EXPECT_EQ(ScoreRows(*engine, shape, weights, tokens, targets, {scope, chunk}), expected)
            << threads << " threads, chunks of " << chunk;
      }
    }
    EXPECT_EQ(ScoreRows(*engine, shape, weights, tokens, targets, {.ask = false}).nats,
              expected.nats);
  }
}

TEST(Likeliest, IsNothingWhereARowIsNotScored) {
  const ModelShape shape = OddShape(5);
  const RandomWeights weights(shape, {});
  const auto tokens = RandomTokens(300, shape.vocab);
  const auto argmax = NaiveArgmax(shape, weights, tokens);
  auto targets = argmax;
  std::fill(targets.begin(), targets.begin() + 200, kNotScored);  // a whole block and a part
  const Scored scored =
      ScoreRows(*MakeReferenceEngine<float>({.threads = 2}), shape, weights, tokens, targets);
  for (size_t i = 0; i < targets.size(); ++i) EXPECT_EQ(scored.likeliest[i], i >= 200) << i;
}

// Sets the head so that the logit of each word of `alike` is the same element of the hidden state,
// exactly, and every other logit is that element's half.
void TieWords(RandomWeights* weights, const ModelShape& shape, const std::vector<int>& alike) {
  for (int word = 0; word < shape.vocab; ++word) {
    float* row = weights->Mutable(WeightRole::kHead, 0, int64_t{word} * shape.hidden);
    std::fill(row, row + shape.hidden, 0.0f);
    row[4] = std::ranges::find(alike, word) == alike.end() ? 0.5f : 1.0f;
  }
}

TEST(Likeliest, OfEqualLogitsIsTheLowestId) {
  const ModelShape shape = OddShape(2100);
  const std::vector<int> alike = {40, 41, 1023, 1024, 2099};
  RandomWeights weights(shape, {.seed = 8});
  TieWords(&weights, shape, alike);
  const auto tokens = RandomTokens(150, shape.vocab);
  const auto argmax = NaiveArgmax(shape, weights, tokens);
  const auto engine = MakeReferenceEngine<float>({.threads = 2});
  EXPECT_GT(std::ranges::count(argmax, 40), 20);  // where that element is positive
  EXPECT_GT(std::ranges::count(argmax, 0), 20);   // and where it is not: the first of all others
  for (int word : {0, 1, 39, 40, 41, 1023, 1024, 1025, 2099}) {
    const std::vector<int32_t> targets(tokens.size(), word);
    const Scored scored = ScoreRows(*engine, shape, weights, tokens, targets);
    for (size_t i = 0; i < tokens.size(); ++i) {
      EXPECT_EQ(scored.likeliest[i], argmax[i] == word) << word << " in row " << i;
    }
  }
}

// A head of nothing knows nothing: it must not be right about everything.
TEST(Likeliest, OfAHeadOfZerosIsTheFirstWordAlone) {
  const ModelShape shape = OddShape(11);
  RandomWeights weights(shape, {});
  float* head = weights.Mutable(WeightRole::kHead, 0, 0);
  std::fill(head, head + 11 * shape.hidden, 0.0f);
  const auto tokens = RandomTokens(20, shape.vocab);
  const auto engine = MakeReferenceEngine<float>({});
  for (int32_t word = 0; word < 11; ++word) {
    const Scored scored =
        ScoreRows(*engine, shape, weights, tokens, std::vector<int32_t>(tokens.size(), word));
    EXPECT_EQ(std::ranges::count(scored.likeliest, 1), word == 0 ? 20 : 0);
  }
}

TEST(Likeliest, IsNoTokenWhereALogitIsNotFinite) {
  const ModelShape shape = OddShape(1500);
  const auto tokens = RandomTokens(150, shape.vocab);
  for (const float bad : {std::nanf(""), std::numeric_limits<float>::infinity()}) {
    for (const int word : {3, 1400}) {  // in the first tile and in the last
      RandomWeights weights(shape, {});
      const auto argmax = NaiveArgmax(shape, weights, tokens);
      *weights.Mutable(WeightRole::kHead, 0, int64_t{word} * shape.hidden + 2) = bad;
      for (int threads : {1, 2, 3}) {
        const auto engine = MakeReferenceEngine<float>({.threads = threads});
        for (const auto& targets :
             {argmax, std::vector<int32_t>(tokens.size(), word)}) {  // another's, its own
          const Scored scored = ScoreRows(*engine, shape, weights, tokens, targets);
          for (size_t i = 0; i < tokens.size(); ++i) {
            EXPECT_FALSE(scored.likeliest[i] && !std::isfinite(scored.nats[i])) << i;
            EXPECT_FALSE(scored.likeliest[i] && std::isnan(bad)) << i;
          }
        }
      }
    }
  }
  RandomWeights weights(shape, {});
  *weights.Mutable(WeightRole::kDown, 0, 5) = std::nanf("");
  const std::vector<int32_t> targets(tokens.size(), 0);
  const auto scored =
      ScoreRows(*MakeReferenceEngine<float>({}), shape, weights, tokens, targets).likeliest;
  EXPECT_EQ(std::ranges::count(scored, 0), 150);
}

TEST(Likeliest, HasAnElementForEachRowOrNone) {
  const ModelShape shape = OddShape(5);
  const RandomWeights weights(shape, {});
  const auto engine = MakeReferenceEngine<float>({});
  const auto model = engine->Bind(shape, weights, INT64_MAX);
  const RopeTable table = BuildRopeTable(kFactors, {6, kBase, 0}, 8, 1);
  const auto sequence = model->Open(RandomTokens(8, 5), table, KvScope::kAllLayers);
  const std::vector<int32_t> targets(8, 0);
  std::vector<double> nats(8);
  std::vector<uint8_t> likeliest(7);
  EXPECT_THROW(sequence->Score({0, 8}, targets, nats, likeliest), std::invalid_argument);
}

}  // namespace
}  // namespace longrope
