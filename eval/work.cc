#include "eval/work.h"

namespace longrope {
namespace {

// Weights of one layer's matrices.
double LayerWeights(const ModelShape& shape) {
  const double hidden = shape.hidden, query = double{1} * shape.heads * shape.head_dim,
               kv = double{1} * shape.kv_heads * shape.head_dim;
  return hidden * (2 * query + 2 * kv + 3.0 * shape.ffn);
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

double DocumentFlops(const ModelShape& shape, int64_t tokens) {
  const auto rows = static_cast<double>(tokens);
  const double attention = 4 * MeanKeys(shape, tokens) * shape.heads * shape.head_dim;
  const double head = 2.0 * shape.hidden * shape.vocab;
  return rows * (shape.layers * (2 * LayerWeights(shape) + attention) + head);
}

}  // namespace longrope
