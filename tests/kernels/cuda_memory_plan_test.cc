// The account of the CUDA engine by hand. tests/cuda compares it with real allocations.
#include <gtest/gtest.h>

#include <cmath>

#include "kernels/cuda/memory_plan.h"
#include "tests/support/random_weights.h"

namespace longrope::cuda {
namespace {

using testing::Llama2Shape;
using testing::MistralShape;

constexpr int64_t kGib = int64_t{1} << 30, kGb = 1'000'000'000;
constexpr int64_t k256k = 262'144, k2048k = 2'097'152;

PassMemory Of(const ModelShape& shape, int64_t tokens, const Placement& where) {
  return MemoryOf({.model = shape}, tokens, KvScope::kOneLayer, where);
}

TEST(CudaMemoryPlan, OfTheLargePartsByHand) {
  const PassMemory all = Of(Llama2Shape(), k2048k, {true, true});
  // 2 097 152 rows of 4096 numbers of 2 bytes; keys and values are as wide as hidden states.
  EXPECT_EQ(all.hidden, 16 * kGib);
  EXPECT_EQ(all.keys, 32 * kGib);
  EXPECT_EQ(Of(MistralShape(), k2048k, {true, true}).keys, 8 * kGib);
  // 6.74e9 parameters, as the model is named for; norms are float32.
  EXPECT_EQ(all.bound, 2 * int64_t{6'738'149'376} + 4 * 65 * 4096);
  EXPECT_EQ(all.layer_slots, 0);
  const PassMemory streamed = Of(Llama2Shape(), k2048k, {false, true});
  EXPECT_EQ(streamed.layer_slots, 2 * 2 * int64_t{202'375'168});
  EXPECT_EQ(streamed.pinned - all.pinned, 32 * 2 * int64_t{202'375'168});
  const PassMemory paged = Of(Llama2Shape(), k2048k, {true, false});
  EXPECT_EQ(paged.hidden, 2048 * 4096 * 2);
  EXPECT_EQ(paged.pinned - all.pinned, 16 * kGib);
  EXPECT_EQ(MemoryOf({.model = Llama2Shape()}, 4096, KvScope::kAllLayers, {}).keys,
            32 * 2 * int64_t{4096} * 4096 * 2);
}

TEST(CudaMemoryPlan, ATiedHeadIsCountedOnce) {
  const PassShape tied{.model = Llama2Shape(), .tied_head = true}, own{.model = Llama2Shape()};
  const auto bound = [](const PassShape& pass) {
    return MemoryOf(pass, 100, KvScope::kOneLayer, {}).bound;
  };
  EXPECT_EQ(bound(own) - bound(tied), 32000 * 4096 * 2);
}

// README's table: the paper's lengths on one card, of which 95 % are taken; GB with one digit.
TEST(CudaMemoryPlan, TheLongestPassesFitOnOneCard) {
  struct Case {
    ModelShape shape;
    int64_t tokens, card;
    bool fits;
    Placement where;
    double gigabytes, pinned;
  };
  const Placement all = {true, true}, least = {false, false};
  const Case cases[] = {
      {Llama2Shape(), k256k, 24, true, all, 20.1, 0.0},
      {Llama2Shape(), k256k, 80, true, all, 20.1, 0.0},
      {Llama2Shape(), k256k, 141, true, all, 20.1, 0.0},
      {Llama2Shape(), k2048k, 24, false, least, 35.9, 30.1},
      {Llama2Shape(), k2048k, 80, true, all, 65.2, 0.0},
      {Llama2Shape(), k2048k, 141, true, all, 65.2, 0.0},
      {MistralShape(), k256k, 24, true, all, 17.9, 0.0},
      {MistralShape(), k256k, 80, true, all, 17.9, 0.0},
      {MistralShape(), k256k, 141, true, all, 17.9, 0.0},
      {MistralShape(), k2048k, 24, true, least, 10.2, 31.1},
      {MistralShape(), k2048k, 80, true, all, 40.5, 0.0},
      {MistralShape(), k2048k, 141, true, all, 40.5, 0.0},
  };
  const auto gigabytes = [](int64_t bytes) {
    return std::round(static_cast<double>(bytes) / static_cast<double>(kGb) * 10) / 10;
  };
  for (const Case& c : cases) {
    SCOPED_TRACE(::testing::Message() << c.shape.kv_heads << ", " << c.tokens << ", " << c.card);
    const int64_t bytes = c.card * kGb / 100 * 95;
    const PassMemory memory = Of(c.shape, c.tokens, c.where);
    EXPECT_EQ(gigabytes(memory.Device()), c.gigabytes);
    EXPECT_EQ(gigabytes(memory.pinned), c.pinned);
    const Placement where = Place({.model = c.shape}, c.tokens, bytes);
    EXPECT_EQ(where.weights, c.where.weights);
    EXPECT_EQ(where.hidden, c.where.hidden);
    EXPECT_EQ(Of(c.shape, c.tokens, where).Device() <= bytes, c.fits);
  }
}

}  // namespace
}  // namespace longrope::cuda
