// Whole passes on the CUDA engine against the double engine.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "eval/rope_builder.h"
#include "kernels/cuda/cuda_engine.h"
#include "kernels/device_error.h"
#include "kernels/reference/reference_engine.h"
#include "tests/cuda/device_data.h"
#include "tests/cuda/engine_pass.h"
#include "tests/cuda/pairwise.h"
#include "tests/cuda/stand_in/stand_in.h"
#include "tests/support/compare.h"

namespace longrope {
namespace {

using testing::Close;
using testing::EnginePass;
using testing::PairwiseCases;
using testing::PassBound;
using testing::PassResult;
using testing::RandomWeights;

class CudaEngineTest : public ::testing::Test {
 protected:
  void SetUp() override { stand_in::Reset(); }
  void TearDown() override { EXPECT_THAT(stand_in::Overruns(), ::testing::IsEmpty()); }
};

constexpr int kTokens[] = {1, 31, 32, 33, 65, 127};
constexpr int kDims[] = {64, 80, 96, 128, 20};
constexpr int kGroups[] = {1, 2, 4, 8};
constexpr int kStartTokens[] = {0, 1, 28};
constexpr DType kTypes[] = {DType::kF32, DType::kF16, DType::kBF16};
constexpr int kWindows[] = {0, 40};

TEST_F(CudaEngineTest, NatsAreThoseOfTheDoubleEngine) {
  for (const auto& i : PairwiseCases({6, 5, 4, 3, 3, 2})) {
    EnginePass pass;
    pass.shape.head_dim = kDims[i[1]];
    pass.shape.kv_heads = kGroups[i[2]] > 2 ? 1 : 2;
    pass.shape.heads = pass.shape.kv_heads * kGroups[i[2]];
    pass.shape.sliding_window = kWindows[i[5]];
    pass.tokens = kTokens[i[0]];
    pass.factors.start_tokens = kStartTokens[i[3]];
    const DType type = kTypes[i[4]];
    pass.stored = type;  // so that weights are the same numbers on both sides
    SCOPED_TRACE(::testing::Message()
                 << pass.tokens << " tokens, heads " << pass.shape.heads << " / "
                 << pass.shape.kv_heads << " of " << pass.shape.head_dim << ", n-hat "
                 << pass.factors.start_tokens << ", window " << pass.shape.sliding_window
                 << ", type " << static_cast<int>(type));
    const PassResult expected = pass.On(*MakeReferenceEngine<double>({.threads = 1}));
    const PassResult got =
        pass.On(*MakeCudaEngine({.type = type, .block_rows = 128, .threads = 1}));
    for (size_t token = 0; token < expected.nats.size(); ++token) {
      ASSERT_TRUE(
          Close(got.nats[token], expected.nats[token], PassBound(type, expected.nats[token])))
          << token;
    }
    if (type == DType::kF32) {
      EXPECT_EQ(got.likeliest, expected.likeliest);
    }
  }
}

TEST_F(CudaEngineTest, OutliersInTheWeightsAreNoMatterInF32) {
  EnginePass pass;
  pass.tokens = 65;
  pass.outliers = true;
  const PassResult expected = pass.On(*MakeReferenceEngine<double>({.threads = 1}));
  const PassResult got =
      pass.On(*MakeCudaEngine({.type = DType::kF32, .block_rows = 128, .threads = 1}));
  for (size_t token = 0; token < expected.nats.size(); ++token) {
    ASSERT_TRUE(Close(got.nats[token], expected.nats[token], 1e-3)) << token;
  }
}

// Same bits: chunk by chunk or layer by layer, whatever the chunk.
TEST_F(CudaEngineTest, ResultsDoNotDependOnTheWalk) {
  stand_in::Options options;
  options.product_sums = stand_in::ProductSums::kByShape;
  stand_in::Reset(options);
  for (const DType type : {DType::kF32, DType::kBF16}) {
    const auto engine = MakeCudaEngine({.type = type, .block_rows = 128, .threads = 1});
    EnginePass pass;
    if (type == DType::kF32) pass.shape.head_dim = 10;  // the plain kernel takes long here
    pass.tokens = 260;
    const PassResult expected = pass.On(*engine);
    for (const KvScope scope : {KvScope::kAllLayers, KvScope::kOneLayer}) {
      for (const int64_t chunk : {128, 256}) {
        pass.scope = scope;
        pass.chunk = chunk;
        const PassResult got = pass.On(*engine);
        EXPECT_EQ(got.nats, expected.nats) << chunk;
        EXPECT_EQ(got.likeliest, expected.likeliest) << chunk;
      }
    }
  }
}

// A missing wait between the streams, or a page-locked buffer that is filled too early, shows in
// one of the orders.
TEST_F(CudaEngineTest, ResultsDoNotDependOnTheOrderOfThreadsAndStreams) {
  EnginePass pass;
  pass.shape.layers = 3;
  pass.shape.heads = 2;
  pass.shape.kv_heads = 1;
  pass.shape.vocab = 50;
  pass.tokens = 260;
  pass.scope = KvScope::kOneLayer;
  pass.chunk = 256;
  // Everything that can lie elsewhere does.
  const CudaOptions small = {
      .type = DType::kBF16, .memory_bytes = 1, .block_rows = 128, .threads = 1};
  const PassResult expected = pass.On(*MakeCudaEngine(small));
  using stand_in::StreamOrder, stand_in::ThreadOrder;
  for (const auto& [threads, streams] :
       {std::pair(ThreadOrder::kReverse, StreamOrder::kLate),
        std::pair(ThreadOrder::kRandom, StreamOrder::kEager),
        std::pair(ThreadOrder::kWarpBackward, StreamOrder::kRandom)}) {
    stand_in::Reorder(threads, streams);
    const PassResult got = pass.On(*MakeCudaEngine(small));
    EXPECT_EQ(got.nats, expected.nats)
        << static_cast<int>(threads) << ", " << static_cast<int>(streams);
  }
}

// More blocks than a page-locked buffer holds, each with rotations of its own; chunk by chunk, too,
// where later chunks see the keys of earlier ones in every layer.
TEST_F(CudaEngineTest, NatsAreThoseOfTheDoubleEngineOverManyBlocks) {
  EnginePass pass;
  pass.shape.heads = 2;
  pass.shape.kv_heads = 1;
  pass.shape.head_dim = 10;  // the plain kernel takes long here
  pass.tokens = 390;
  const PassResult expected = pass.On(*MakeReferenceEngine<double>({.threads = 1}));
  for (const auto& [memory, scope, chunk] :
       {std::tuple(0, KvScope::kOneLayer, 0), std::tuple(1, KvScope::kOneLayer, 0),
        std::tuple(0, KvScope::kAllLayers, 128)}) {
    pass.scope = scope;
    pass.chunk = chunk;
    const PassResult got = pass.On(*MakeCudaEngine(
        {.type = DType::kF32, .memory_bytes = memory, .block_rows = 128, .threads = 1}));
    for (size_t token = 0; token < expected.nats.size(); ++token) {
      ASSERT_TRUE(Close(got.nats[token], expected.nats[token],
                        PassBound(DType::kF32, expected.nats[token])))
          << token << ", " << memory << ", " << chunk;
    }
  }
}

TEST_F(CudaEngineTest, WhereThePartsLieDoesNotChangeBits) {
  EnginePass pass;
  pass.shape.layers = 4;
  pass.tokens = 200;
  pass.scope = KvScope::kOneLayer;
  const PassResult expected =
      pass.On(*MakeCudaEngine({.type = DType::kF16, .block_rows = 128, .threads = 1}));
  const PassResult got = pass.On(
      *MakeCudaEngine({.type = DType::kF16, .memory_bytes = 1, .block_rows = 128, .threads = 1}));
  EXPECT_EQ(got.nats, expected.nats);
}

TEST_F(CudaEngineTest, TheTruncatingTensorCoreIsWithinTheBound) {
  stand_in::Options options;
  options.tensor_core = stand_in::TensorCore::kTruncating;
  stand_in::Reset(options);
  EnginePass pass;
  pass.tokens = 127;
  pass.shape.head_dim = 64;
  pass.stored = DType::kBF16;
  const PassResult expected = pass.On(*MakeReferenceEngine<double>({.threads = 1}));
  const PassResult got = pass.On(*MakeCudaEngine({.block_rows = 128, .threads = 1}));
  for (size_t token = 0; token < expected.nats.size(); ++token) {
    ASSERT_TRUE(Close(got.nats[token], expected.nats[token],
                      PassBound(DType::kBF16, expected.nats[token])));
  }
}

TEST_F(CudaEngineTest, WeightsThatAreNotFiniteGiveNatsThatAreNot) {
  EnginePass pass;
  pass.tokens = 20;
  RandomWeights weights(pass.shape, {.scale = 0.1});
  *weights.Mutable(WeightRole::kValue, 1, 5) = std::nanf("");
  const PassResult got =
      pass.On(*MakeCudaEngine({.type = DType::kF32, .block_rows = 128, .threads = 1}), weights);
  for (const double nats : got.nats) EXPECT_FALSE(std::isfinite(nats));
}

TEST_F(CudaEngineTest, ScoresNothingWhereNothingIsAsked) {
  const EnginePass pass;
  const auto engine = MakeCudaEngine({.block_rows = 128, .threads = 1});
  const RandomWeights weights(pass.shape, {.scale = 0.1});
  const auto model = engine->Bind(pass.shape, weights, 10);
  const std::vector<int32_t> tokens(10, 3), none(10, kNotScored);
  const RopeTable rope = pass.Table(10);
  const auto sequence = model->Open(tokens, rope, KvScope::kAllLayers);
  std::vector<double> nats(10, -1);
  sequence->Score({0, 10}, none, nats);
  EXPECT_EQ(nats, std::vector<double>(10, 0));
  std::vector<double> few(9);
  EXPECT_THROW(sequence->Score({0, 10}, none, few), std::invalid_argument);
  EXPECT_THROW(sequence->Extend(0, {0, 11}), std::invalid_argument);
  EXPECT_THROW(sequence->Extend(0, {5, 10}), std::invalid_argument);
}

TEST_F(CudaEngineTest, RefusesWeightsAndTablesThatDoNotFit) {
  const EnginePass pass;
  const auto engine = MakeCudaEngine({.block_rows = 128, .threads = 1});
  ModelShape other = pass.shape;
  other.ffn += 1;
  const RandomWeights weights(pass.shape, {});
  EXPECT_THROW(engine->Bind(other, weights, 10), std::invalid_argument);
  const auto model = engine->Bind(pass.shape, weights, 10);
  const RopeTable rope = pass.Table(9);
  EXPECT_THROW(model->Open(std::vector<int32_t>(10, 1), rope, KvScope::kOneLayer),
               std::invalid_argument);
  EXPECT_THROW(model->Open({}, rope, KvScope::kOneLayer), std::invalid_argument);
  EXPECT_EQ(stand_in::DeviceMemory(0).current,
            static_cast<size_t>(
                engine->Bytes({.shape = pass.shape, .longest = 10, .tokens = 10}).weights));
}

TEST_F(CudaEngineTest, SaysWhatItIs) {
  const auto engine = MakeCudaEngine({.type = DType::kF16, .threads = 3});
  EXPECT_EQ(engine->name().substr(0, 12), "cuda/f16/sm_");
  // Whatever may change a result's last digits: another one must not be read as this engine's.
  const std::string library = "cuBLAS " + std::to_string(CUBLAS_VER_MAJOR) + "." +
                              std::to_string(CUBLAS_VER_MINOR) + "." +
                              std::to_string(CUBLAS_VER_PATCH);
  EXPECT_THAT(
      std::string(engine->build()),
      ::testing::AllOf(::testing::HasSubstr(" processors, CUDA "), ::testing::HasSubstr(library),
                       ::testing::HasSubstr("blocks of 2048 rows")));
  EXPECT_EQ(engine->Grain(), 2048);
  EXPECT_EQ(engine->Threads(), 3);
  EXPECT_GT(engine->DeviceBytes().value_or(0), 0);
}

}  // namespace
}  // namespace longrope
