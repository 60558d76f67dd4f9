#include "eval/work.h"

namespace longrope {
namespace {

// Weights of one layer's matrices.
double LayerWeights(const ModelShape& shape) {
  const int64_t columns = 2 * shape.QueryWidth() + 2 * shape.KvWidth() + 3 * int64_t{shape.ffn};
  return static_cast<double>(shape.hidden) * static_cast<double>(columns);
}

}  // namespace

double MeanKeys(const ModelShape& shape, int64_t tokens) {
  const auto all = static_cast<double>(tokens);
  if (shape.sliding_window <= 0 || shape.sliding_window >= tokens) return all / 2;
  const auto window = static_cast<double>(shape.sliding_window);
  return window - window * window / (2 * all);
}

double Parameters(const ModelShape& shape, bool tied_head) {
  return shape.layers * LayerWeights(shape) +
         (tied_head ? 1.0 : 2.0) * shape.vocab * static_cast<double>(shape.hidden);
}

double LayerFlops(const ModelShape& shape, int64_t tokens) {
  const double attention = 4 * MeanKeys(shape, tokens) * static_cast<double>(shape.QueryWidth());
  return static_cast<double>(tokens) * (shape.layers * (2 * LayerWeights(shape) + attention));
}

double DocumentFlops(const ModelShape& shape, int64_t tokens) {
  const double head = 2.0 * shape.hidden * shape.vocab;
  return LayerFlops(shape, tokens) + static_cast<double>(tokens) * head;
}

}  // namespace longrope
