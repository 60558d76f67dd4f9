// Causal attention of one block of queries over tiles of keys; never holds [queries, all keys].
// Included only by block_kernels.h (compiled once per instruction set).
//
// The mask of a query at n is one interval of keys, at their true distances. Attention sinks need
// more than a second interval. StreamingLLM (arXiv 2309.17453) lets every query see the first S
// keys and the last W, and counts positions within that cache: sink j stands at the distance
// min(n, S + W - 1) - j. LM-Infinite (arXiv 2308.16137) sees the same keys and caps distances: a
// sink farther away than W stands at W. Here keys are rotated once, when they are extended, so that
// would take
//   - S and W beside sliding_window in ModelShape, and in AttendHead a first pass over the tiles of
//     the sinks, [0, min(S, n + 1 - W)) of each row, into the same running softmax;
//   - a second rotated query for that pass, one more array of Scratch: at row min(n, S + W - 1) of
//     the rope table for StreamingLLM; for LM-Infinite at row W, against keys of the first S
//     positions kept unrotated by Extend, as much again in each layer that is held;
//   - a meaning for start_tokens, under which a rotation is not a function of the distance alone;
//   - the same in the naive transformer of the tests, the memory account, the fingerprint and the
//     options of whoever scores.
// The mask alone, at true distances, would be the first of these and neither method.
#pragma once

#include "kernels/reference/linear.h"

namespace longrope::reference {
inline namespace LONGROPE_ISA {

// The softmax of a row of queries so far: every score was scaled by exp(-maximum).
template <class T>
struct RunningSoftmax {
  T maximum[kBlockRows];
  T total[kBlockRows];
};

// Turns one row of raw scores of a tile into exp(score - maximum), zero outside the keys
// [first, last) that the query sees, and scales what was summed before when the maximum grows.
template <class T>
void SoftmaxRow(T* score, int64_t keys, int64_t first, int64_t last, T scale, T* maximum, T* total,
                T* sums, int head_dim) {
  for (int64_t key = 0; key < first; ++key) score[key] = 0;
  for (int64_t key = last; key < keys; ++key) score[key] = 0;
  T highest = *maximum;
  for (int64_t key = first; key < last; ++key) {
    score[key] *= scale;
    highest = score[key] > highest ? score[key] : highest;
  }
  if (highest > *maximum) {
    const T shrink = Exp(*maximum - highest);
    *total *= shrink;
    for (int i = 0; i < head_dim; ++i) sums[i] *= shrink;
    *maximum = highest;
  }
  for (int64_t key = first; key < last; ++key) score[key] = Exp(score[key] - highest);
  *total += SumOf<T>(last - first, [row = score + first](int64_t i) { return row[i]; });
}

// attended[:, head] = softmax(q k^T / sqrt(head_dim)) v for one head of the block at `begin`.
// query, attended: [kBlockRows, heads * head_dim] at the head's first column; keys, values: whole
// sequence at their head's first column, rows kv_heads * head_dim apart.
template <class T>
void AttendHead(const ModelShape& shape, int64_t begin, const T* query, const T* keys,
                const T* values, T* attended, const Scratch<T>& scratch) {
  const int d = shape.head_dim;
  const Eigen::OuterStride<> q_stride(shape.heads * d), kv_stride(shape.kv_heads * d);
  const int64_t end = begin + kBlockRows, window = shape.sliding_window;
  const int64_t oldest = window > 0 && begin + 1 > window ? begin + 1 - window : 0;
  const T scale = T(1) / SquareRoot(static_cast<T>(d));
  RunningSoftmax<T> softmax;
  for (int64_t row = 0; row < kBlockRows; ++row) {
    softmax.maximum[row] = -__builtin_inff();
    softmax.total[row] = 0;
  }
  View<T> sums(scratch.sums, kBlockRows, d, Eigen::OuterStride<>(d));
  sums.setZero();
  for (int64_t tile = oldest / kKeyTile * kKeyTile; tile < end; tile += kKeyTile) {
    const int64_t keys_here = end - tile < kKeyTile ? end - tile : kKeyTile;
    View<T> scores(scratch.scores, kBlockRows, keys_here, Eigen::OuterStride<>(kKeyTile));
    scores.noalias() =
        ConstView<T>(query, kBlockRows, d, q_stride) *
        ConstView<T>(keys + tile * kv_stride.outer(), keys_here, d, kv_stride).transpose();
    for (int64_t row = 0; row < kBlockRows; ++row) {
      const int64_t position = begin + row;
      int64_t last = position + 1 - tile;
      last = last < 0 ? 0 : last > keys_here ? keys_here : last;
      int64_t first = window > 0 ? position + 1 - window - tile : 0;
      first = first < 0 ? 0 : first > last ? last : first;
      SoftmaxRow(scratch.scores + row * kKeyTile, keys_here, first, last, scale,
                 &softmax.maximum[row], &softmax.total[row], scratch.sums + row * d, d);
    }
    sums.noalias() +=
        scores * ConstView<T>(values + tile * kv_stride.outer(), keys_here, d, kv_stride);
  }
  for (int64_t row = 0; row < kBlockRows; ++row) {
    const T scale_row = T(1) / softmax.total[row];
    T* out = attended + row * q_stride.outer();
    for (int i = 0; i < d; ++i) out[i] = scratch.sums[row * d + i] * scale_row;
  }
}

}  // namespace LONGROPE_ISA
}  // namespace longrope::reference
