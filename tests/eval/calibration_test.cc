#include "eval/calibration.h"

#include <gtest/gtest.h>

#include <cmath>

#include "eval/work.h"
#include "kernels/reference/reference_engine.h"
#include "tests/support/compare.h"

namespace longrope {
namespace {

using testing::CloseRelative;

ModelShape SmallShape() {
  return {.layers = 3,
          .hidden = 32,
          .heads = 4,
          .kv_heads = 2,
          .head_dim = 8,
          .ffn = 48,
          .vocab = 200,
          .norm_epsilon = 1e-5f,
          .sliding_window = 0};
}

TEST(Calibration, MeasuresPositiveFiniteSeconds) {
  ModelShape wide = SmallShape();
  wide.head_dim = 48;  // heads wider than the hidden size
  ModelShape windowed = SmallShape();
  windowed.sliding_window = 5;
  for (const ModelShape& shape : {SmallShape(), wide, windowed}) {
    const auto engine = MakeReferenceEngine<float>({.threads = 2});
    const Calibration found = Calibrate(*engine, shape);
    for (double seconds : {found.layer_row, found.head_row, found.DocumentSeconds(shape, 1000)}) {
      EXPECT_TRUE(std::isfinite(seconds) && seconds > 0) << seconds;
    }
    // However noisy the measurement: attention is taken to be no faster a FLOP than the rest.
    ModelShape layer = shape;
    layer.layers = 1;
    const double row_flops = LayerFlops(layer, 1);
    EXPECT_TRUE(std::isfinite(found.layer_key)) << found.layer_key;
    EXPECT_GE(found.layer_key * row_flops,
              0.999 * found.layer_row * 4 * static_cast<double>(shape.QueryWidth()));
  }
}

TEST(Calibration, SecondsAreThoseOfEveryRowKeyAndLayer) {
  const Calibration calibration{.layer_row = 2, .layer_key = 0.5, .head_row = 7};
  // 10 rows: 3 layers of 2, and 5 keys on average of 0.5; 7 for the head.
  EXPECT_TRUE(CloseRelative(calibration.DocumentSeconds(SmallShape(), 10),
                            10 * (3 * (2 + 0.5 * 5) + 7), 1e-12));
}

TEST(Calibration, SecondsGrowWithTokensFasterThanTheirNumber) {
  const Calibration calibration{.layer_row = 2, .layer_key = 0.5, .head_row = 7};
  for (int64_t tokens : {1, 100, 4096, 1 << 20}) {
    EXPECT_GT(calibration.DocumentSeconds(SmallShape(), 2 * tokens),
              2 * calibration.DocumentSeconds(SmallShape(), tokens));
  }
}

TEST(Calibration, AWindowBoundsTheKeysOfARow) {
  const Calibration keys_only{.layer_row = 0, .layer_key = 1, .head_row = 0};
  ModelShape shape = SmallShape();
  shape.layers = 1;
  const double open = keys_only.DocumentSeconds(shape, 1000);
  shape.sliding_window = 100;
  // The first 100 rows see 50 keys on average, the other 900 see 100.
  EXPECT_TRUE(CloseRelative(keys_only.DocumentSeconds(shape, 1000), 100 * 50 + 900 * 100, 1e-12));
  EXPECT_TRUE(CloseRelative(open, 1000 * 500, 1e-12));
  for (int64_t window : {1000, 5000}) {
    shape.sliding_window = window;
    EXPECT_TRUE(CloseRelative(keys_only.DocumentSeconds(shape, 1000), open, 1e-12));
  }
}

}  // namespace
}  // namespace longrope
