// What the CUDA engine takes is what its account says; what happens when there is less.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "eval/calibration.h"
#include "eval/forward.h"
#include "kernels/cuda/cuda_engine.h"
#include "kernels/cuda/memory_plan.h"
#include "kernels/device_error.h"
#include "tests/cuda/engine_pass.h"
#include "tests/cuda/stand_in/stand_in.h"

namespace longrope {
namespace {

using cuda::MemoryOf;
using cuda::PassMemory;
using cuda::PassShape;
using cuda::Placement;
using ::testing::ElementsAre;
using testing::EnginePass;
using ::testing::HasSubstr;
using testing::PassResult;
using testing::RandomWeights;

class CudaMemory : public ::testing::Test {
 protected:
  void SetUp() override { stand_in::Reset(); }
};

// Small: bytes are counted, not numbers.
ModelShape Shape() {
  ModelShape shape = EnginePass().shape;
  shape.heads = 2;
  shape.kv_heads = 1;
  shape.head_dim = 6;
  shape.hidden = 20;
  shape.ffn = 28;
  shape.vocab = 40;
  return shape;
}

// Bytes that leave room for exactly this placement.
int64_t BytesFor(const PassShape& pass, int64_t tokens, const Placement& where) {
  return MemoryOf(pass, tokens, KvScope::kOneLayer, where).Device();
}

// Two layers are no less on the device when they are streamed: then hidden states are paged first.
struct PlacedCase {
  int layers;
  Placement where;
};
constexpr PlacedCase kPlaced[] = {
    {3, {true, true}}, {3, {false, true}}, {2, {true, false}}, {3, {false, false}}};

TEST_F(CudaMemory, TheAccountIsWhatIsAllocated) {
  constexpr int64_t kTokens = 130;  // two blocks
  for (const DType type : {DType::kF32, DType::kBF16}) {
    for (const auto& [layers, where] : kPlaced) {
      for (const KvScope scope : {KvScope::kOneLayer, KvScope::kAllLayers}) {
        stand_in::Reset();
        EnginePass pass;
        pass.shape = Shape();
        pass.shape.layers = layers;
        pass.tokens = kTokens;
        pass.scope = scope;
        const PassShape shape{pass.shape, false, type, 128};
        const int64_t bytes = BytesFor(shape, kTokens, where);
        ASSERT_EQ(Place(shape, kTokens, bytes).weights, where.weights);
        ASSERT_EQ(Place(shape, kTokens, bytes).hidden, where.hidden);
        const auto engine =
            MakeCudaEngine({.type = type, .memory_bytes = bytes, .block_rows = 128, .threads = 1});
        pass.On(*engine);
        const PassMemory account = MemoryOf(shape, kTokens, scope, where);
        EXPECT_EQ(stand_in::DeviceMemory(0).peak, static_cast<size_t>(account.Device()));
        EXPECT_EQ(stand_in::PinnedMemory().peak, static_cast<size_t>(account.pinned));
        EXPECT_EQ(stand_in::DeviceMemory(0).current, 0u);
        EXPECT_EQ(stand_in::PinnedMemory().current, 0u);
        EXPECT_EQ(stand_in::Handles(), 0);
      }
    }
  }
}

TEST_F(CudaMemory, OfTwoWalksOnlyTheOneThatSuitsThePlacementIsOffered) {
  ModelShape model = Shape();
  model.layers = 4;
  const PassShape shape{model, false, DType::kBF16, 128};
  const auto bytes = [&](int64_t memory, KvScope scope) {
    const auto engine = MakeCudaEngine({.memory_bytes = memory, .block_rows = 128});
    return engine->Bytes({.shape = model, .longest = 500, .tokens = 500, .scope = scope}).sequence;
  };
  const int64_t all = BytesFor(shape, 500, {true, true}),
                little = BytesFor(shape, 500, {false, true});
  EXPECT_LT(bytes(all, KvScope::kAllLayers), int64_t{1} << 40);
  EXPECT_GT(bytes(little, KvScope::kAllLayers),
            int64_t{1} << 40);  // every chunk would copy all layers
  EXPECT_LT(bytes(little, KvScope::kOneLayer), int64_t{1} << 40);
}

TEST_F(CudaMemory, ATiedHeadIsThereOnce) {
  // RandomWeights has no tied head; a source that has one gives one view for both.
  class Tied final : public WeightSource {
   public:
    explicit Tied(const ModelShape& shape) : weights_(shape, {.scale = 0.1}) {}
    TensorView Get(WeightRole role, int layer) const override {
      return weights_.Get(role == WeightRole::kHead ? WeightRole::kEmbedding : role, layer);
    }

   private:
    RandomWeights weights_;
  };
  const Tied weights(Shape());
  const auto engine = MakeCudaEngine({.block_rows = 128});
  const auto model = engine->Bind(Shape(), weights, 10);
  const auto account =
      engine->Bytes({.shape = Shape(), .tied_head = true, .longest = 10, .tokens = 10});
  EXPECT_EQ(stand_in::DeviceMemory(0).current, static_cast<size_t>(account.weights));
}

// An allocation that fails while a sequence is opened: half the rows, and a line that says so.
TEST_F(CudaMemory, GoesOnWithSmallerBlocksWhereMemoryEnds) {
  std::vector<std::string> said;
  const auto engine =
      MakeCudaEngine({.type = DType::kF32,
                      .block_rows = 256,
                      .threads = 1,
                      .report = [&](const std::string& line) { said.push_back(line); }});
  EnginePass pass;
  pass.shape = Shape();
  const RandomWeights weights(pass.shape, {.scale = 0.1});
  const auto model = engine->Bind(pass.shape, weights, 200);
  const std::vector<int32_t> tokens(200, 7), targets(200, 9);
  const RopeTable rope = pass.Table(200);
  const auto run = [&] {
    const auto sequence = model->Open(tokens, rope, KvScope::kOneLayer);
    for (int layer = 0; layer < pass.shape.layers; ++layer) {
      sequence->Extend(layer, {0, 200});
      sequence->Advance(layer, {0, 200});
    }
    std::vector<double> nats(200);
    sequence->Score({0, 200}, targets, nats);
    return nats;
  };
  const auto expected = run();
  EXPECT_TRUE(said.empty());
  stand_in::FailAllocation(5);
  const auto got = run();
  ASSERT_EQ(said.size(), 1u);
  EXPECT_THAT(said[0], AllOf(HasSubstr("does not hold blocks of 256 rows; going on with 128"),
                             HasSubstr("cudaErrorMemoryAllocation")));
  for (size_t i = 0; i < got.size(); ++i) ASSERT_NEAR(got[i], expected[i], 1e-5);
  EXPECT_EQ(run(), got) << "those after it take as many";
  EXPECT_EQ(said.size(), 1u);
}

TEST_F(CudaMemory, TakesNoMoreThanIsFree) {
  std::vector<std::string> said;
  const auto report = [&](const std::string& line) { said.push_back(line); };
  const int64_t free = *MakeCudaEngine({.report = report})->DeviceBytes();
  EXPECT_LT(free, int64_t{1} << 30);
  EXPECT_GT(free, (int64_t{1} << 30) / 10 * 9);
  EXPECT_EQ(MakeCudaEngine({.memory_bytes = free, .report = report})->DeviceBytes(), free);
  EXPECT_TRUE(said.empty());
  EXPECT_EQ(MakeCudaEngine({.memory_bytes = 200'000'000'000, .report = report})->DeviceBytes(),
            free);
  EXPECT_THAT(said,
              ElementsAre("device 0 has 1020 MB free, not the 200000 asked for: taking these"));
}

// A dry run measures a layer on a few blocks, whatever the host's threads.
TEST_F(CudaMemory, CalibrationTakesAFewBlocks) {
  const ModelShape shape = Shape();
  const auto engine = MakeCudaEngine({.block_rows = 128, .threads = 64});
  EXPECT_EQ(RowsForAll(*engine), 128);
  EXPECT_GT(Calibrate(*engine, shape).layer_row, 0);
  ModelShape layer = shape;
  layer.layers = 1;
  const PassShape one{layer, false, DType::kBF16, 128};
  EXPECT_LE(stand_in::DeviceMemory(0).peak,
            static_cast<size_t>(MemoryOf(one, 8 * 128, KvScope::kOneLayer, {true, true}).Device()));
}

TEST_F(CudaMemory, GivesUpWithTheSmallestBlocksAndLeavesNothing) {
  stand_in::Options options;
  options.device_bytes = {40 << 20};  // cuBLAS takes 32 MiB of it
  stand_in::Reset(options);
  int said = 0;
  const auto engine = MakeCudaEngine({.memory_bytes = int64_t{1} << 30,
                                      .block_rows = 256,
                                      .threads = 1,
                                      .report = [&](const std::string&) { ++said; }});
  const EnginePass pass;
  const RandomWeights weights(pass.shape, {});
  const auto model = engine->Bind(pass.shape, weights, 10000);
  const size_t bound = stand_in::DeviceMemory(0).current;
  const RopeTable rope = pass.Table(10000);
  try {
    model->Open(std::vector<int32_t>(10000, 1), rope, KvScope::kAllLayers);
    FAIL() << "opened";
  } catch (const DeviceError& error) {
    EXPECT_EQ(error.kind(), DeviceError::Kind::kOutOfMemory);
    EXPECT_THAT(error.what(), AllOf(HasSubstr("cudaMalloc"), HasSubstr("memory.h:")));
  }
  EXPECT_EQ(said, 2);  // less than was asked for; 256 -> 128
  EXPECT_EQ(stand_in::DeviceMemory(0).current, bound);
}

TEST_F(CudaMemory, WhatDoesNotBindLeavesNothing) {
  for (int64_t nth = 1; nth <= 4; ++nth) {
    stand_in::Reset();
    const auto engine = MakeCudaEngine({.block_rows = 128, .threads = 1});
    const RandomWeights weights(Shape(), {});
    stand_in::FailAllocation(nth);
    EXPECT_THROW(engine->Bind(Shape(), weights, 10), DeviceError) << nth;
    EXPECT_EQ(stand_in::DeviceMemory(0).current, 0u) << nth;
  }
}

}  // namespace
}  // namespace longrope
