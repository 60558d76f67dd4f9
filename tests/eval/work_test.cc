#include "eval/work.h"

#include <gtest/gtest.h>

#include "tests/support/compare.h"
#include "tests/support/random_weights.h"

namespace longrope {
namespace {

using testing::CloseRelative;

const ModelShape kLlama7b = testing::Llama2Shape();

TEST(Work, OfLlama7bIsWhatItsCardSays) {
  // 6 738 415 616 parameters, 266 240 of them in norms.
  EXPECT_EQ(Parameters(kLlama7b, false), 6738415616.0 - 266240);
  EXPECT_EQ(Parameters(kLlama7b, true), 6738415616.0 - 266240 - 32000.0 * 4096);
}

TEST(Work, OfADocumentIsMatricesAttentionAndHead) {
  const double tokens = 262144, weights = 32 * (4.0 * 4096 * 4096 + 3.0 * 4096 * 11008);
  const double attention = 32 * 4 * (tokens / 2) * 4096;
  const double wanted = tokens * (2 * weights + attention + 2.0 * 4096 * 32000);
  EXPECT_TRUE(CloseRelative(DocumentFlops(kLlama7b, 262144), wanted, 1e-12));
  EXPECT_TRUE(CloseRelative(DocumentFlops(kLlama7b, 262144), 2.15e16, 0.01));
  EXPECT_TRUE(CloseRelative(DocumentFlops(kLlama7b, 2097152), 1.18e18, 0.01));
}

TEST(Work, OfAWindowIsLess) {
  ModelShape shape = kLlama7b;
  shape.sliding_window = 4096;
  EXPECT_TRUE(CloseRelative(MeanKeys(shape, 65536), 4096 - 4096.0 * 4096 / (2 * 65536), 1e-12));
  EXPECT_EQ(MeanKeys(shape, 4096), 2048);
}

}  // namespace
}  // namespace longrope
