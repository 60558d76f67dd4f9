#include "eval/calibration.h"

#include <algorithm>
#include <chrono>
#include <vector>

#include "eval/forward.h"
#include "eval/rope_builder.h"
#include "eval/work.h"

namespace longrope {
namespace {

// One layer of small numbers, the same matrix storage for every role: only sizes matter.
class SyntheticWeights final : public WeightSource {
 public:
  explicit SyntheticWeights(const ModelShape& shape) : shape_(shape) {
    const int64_t query = shape.QueryWidth();
    const int64_t widest = std::max({int64_t{shape.vocab}, int64_t{shape.ffn}, query});
    values_.resize(static_cast<size_t>(widest * std::max<int64_t>(shape.hidden, query)));
    uint32_t state = 1;
    for (float& value : values_) {  // a linear congruential generator is random enough for a clock
      state = state * 1664525u + 1013904223u;
      value = static_cast<float>(state >> 8) * 0x1p-30f - 0x1p-7f;
    }
  }
  TensorView Get(WeightRole role, int) const override {
    const MatrixSize size = WeightSize(role, shape_);
    return {reinterpret_cast<const std::byte*>(values_.data()), DType::kF32, size.rows, size.cols};
  }

 private:
  ModelShape shape_;
  std::vector<float> values_;
};

template <class Work>
double SecondsOf(const Work& work) {
  const auto begin = std::chrono::steady_clock::now();
  work();
  return std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count();
}

}  // namespace

double Calibration::DocumentSeconds(const ModelShape& shape, int64_t tokens) const {
  const auto rows = static_cast<double>(tokens);
  return rows * (shape.layers * (layer_row + layer_key * MeanKeys(shape, tokens)) + head_row);
}

Calibration Calibrate(const Engine& engine, const ModelShape& shape) {
  ModelShape layer = shape;
  layer.layers = 1;
  layer.sliding_window = 0;
  const SyntheticWeights weights(layer);
  const int64_t chunk = RowsForAll(engine);
  constexpr int64_t kChunks = 8;
  const auto model = engine.Bind(layer, weights, kChunks * chunk);
  const std::vector<int32_t> tokens(static_cast<size_t>(kChunks * chunk), 0);
  const RopeFactors plain{std::vector<float>(static_cast<size_t>(shape.head_dim / 2), 1.0f), 0, 1};
  const RopeTable table =
      BuildRopeTable(plain, {shape.head_dim, 10000, 0}, kChunks * chunk, engine.Threads());
  const auto sequence = model->Open(tokens, table, KvScope::kOneLayer);
  std::vector<double> seconds;
  for (int64_t i = 0; i < kChunks; ++i) {
    const Rows rows{i * chunk, (i + 1) * chunk};
    seconds.push_back(SecondsOf([&] {
      sequence->Extend(0, rows);
      sequence->Advance(0, rows);
      sequence->Wait();
    }));
  }
  std::vector<double> nats(static_cast<size_t>(chunk));
  const std::vector<int32_t> targets(nats.size(), 0);
  const auto rows = static_cast<double>(chunk);
  Calibration calibration;
  sequence->Score({0, chunk}, targets, nats);  // warms caches up
  calibration.head_row = SecondsOf([&] { sequence->Score({0, chunk}, targets, nats); }) / rows;
  // The first chunk also warms caches up: the slope is that of the second to the last.
  const double slope = (seconds.back() - seconds[1]) / (rows * rows * (kChunks - 2));
  // Of small shapes the slope is lost in noise; attention is no faster a FLOP than the projections.
  const double flop_seconds = seconds[1] / rows / LayerFlops(layer, 1);
  calibration.layer_key =
      std::max(slope, 4 * static_cast<double>(shape.QueryWidth()) * flop_seconds);
  calibration.layer_row =
      std::max(seconds[1] / rows - calibration.layer_key * rows * 1.5, seconds[1] / rows / 100);
  return calibration;
}

}  // namespace longrope
