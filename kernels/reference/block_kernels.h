// The block operations of block.h, in plain Eigen. Each translation unit that includes this defines
// LONGROPE_ISA (a namespace) and renames Eigen's, so that no inline function compiled for one
// instruction set can be linked into the code of another (tests/kernels/isa_symbols.cmake checks).
#pragma once

#include "kernels/reference/attention.h"

namespace longrope::reference {
inline namespace LONGROPE_ISA {

// Eigen sizes its blocks by the caches it finds, which would change the order of additions from
// machine to machine; these sizes hold on all.
inline void FixCacheSizes() { Eigen::setCpuCacheSizes(32 << 10, 1 << 20, 4 << 20); }

template <class T>
void Extend(const ModelShape& shape, const LayerWeights<T>& weights, Rotation rotation,
            const T* hidden, T* keys, T* values, const Scratch<T>& scratch) {
  const int64_t kv_width = int64_t{shape.kv_heads} * shape.head_dim;
  Normalise(hidden, weights.input_norm, kBlockRows, shape.hidden, shape.norm_epsilon,
            scratch.normed);
  Project(scratch.normed, weights.key, kBlockRows, shape.hidden, kv_width, keys);
  Project(scratch.normed, weights.value, kBlockRows, shape.hidden, kv_width, values);
  Rotate(rotation, shape.kv_heads, shape.head_dim, keys);
}

// The feed-forward half: hidden += down(silu(gate(norm)) * up(norm)).
template <class T>
void FeedForward(const ModelShape& shape, const LayerWeights<T>& weights, T* hidden,
                 const Scratch<T>& scratch) {
  Normalise(hidden, weights.ffn_norm, kBlockRows, shape.hidden, shape.norm_epsilon, scratch.normed);
  Project(scratch.normed, weights.gate, kBlockRows, shape.hidden, shape.ffn, scratch.gate);
  Project(scratch.normed, weights.up, kBlockRows, shape.hidden, shape.ffn, scratch.up);
  for (int64_t i = 0; i < kBlockRows * shape.ffn; ++i) {
    scratch.gate[i] = scratch.gate[i] / (T(1) + Exp(-scratch.gate[i])) * scratch.up[i];
  }
  ProjectOnto(scratch.gate, weights.down, kBlockRows, shape.ffn, shape.hidden, hidden);
}

template <class T>
void Advance(const ModelShape& shape, const LayerWeights<T>& weights, Rotation rotation,
             int64_t begin, const T* keys, const T* values, T* hidden, const Scratch<T>& scratch) {
  const int64_t width = int64_t{shape.heads} * shape.head_dim;
  Normalise(hidden, weights.input_norm, kBlockRows, shape.hidden, shape.norm_epsilon,
            scratch.normed);
  Project(scratch.normed, weights.query, kBlockRows, shape.hidden, width, scratch.query);
  Rotate(rotation, shape.heads, shape.head_dim, scratch.query);
  const int group = shape.heads / shape.kv_heads;
  for (int head = 0; head < shape.heads; ++head) {
    const int64_t kv_column = int64_t{head / group} * shape.head_dim;
    AttendHead(shape, begin, scratch.query + int64_t{head} * shape.head_dim, keys + kv_column,
               values + kv_column, scratch.attended + int64_t{head} * shape.head_dim, scratch);
  }
  ProjectOnto(scratch.attended, weights.output, kBlockRows, width, shape.hidden, hidden);
  FeedForward(shape, weights, hidden, scratch);
}

// ln(sum of exp(logit)) of a row, tile by tile, in double.
struct LogSumExp {
  double maximum, total;

  template <class T>
  void Add(const T* logits, int64_t count) {
    T highest = static_cast<T>(maximum);
    for (int64_t i = 0; i < count; ++i) highest = logits[i] > highest ? logits[i] : highest;
    total *= Exp(maximum - static_cast<double>(highest));
    maximum = highest;
    total += SumOf<double>(
        count, [&](int64_t i) { return static_cast<double>(Exp(logits[i] - highest)); });
  }
};

// The first of equal ones, as std::max_element; `highest` is one of the logits.
template <class T>
int64_t FirstAt(const T* logits, int64_t count, double highest) {
  int64_t i = 0;
  while (i < count && static_cast<double>(logits[i]) != highest) ++i;
  return i;
}

template <class T>
void Score(const ModelShape& shape, const T* final_norm, const T* head, const T* hidden,
           int64_t rows, const int32_t* targets, double* nats, uint8_t* likeliest,
           const Scratch<T>& scratch) {
  Normalise(hidden, final_norm, kBlockRows, shape.hidden, shape.norm_epsilon, scratch.normed);
  LogSumExp sums[kBlockRows];
  double target_logit[kBlockRows];
  int64_t highest_word[kBlockRows];
  for (int64_t row = 0; row < rows; ++row) sums[row] = {-__builtin_inff(), 0};
  for (int64_t tile = 0; tile < shape.vocab; tile += kVocabTile) {
    const int64_t words = shape.vocab - tile < kVocabTile ? shape.vocab - tile : kVocabTile;
    Project(scratch.normed, head + tile * shape.hidden, kBlockRows, shape.hidden, words,
            scratch.scores);
    for (int64_t row = 0; row < rows; ++row) {
      if (targets[row] < 0) continue;
      const T* logits = scratch.scores + row * words;
      const double before = sums[row].maximum;
      sums[row].Add(logits, words);
      if (targets[row] >= tile && targets[row] < tile + words) {
        target_logit[row] = logits[targets[row] - tile];
      }
      if (likeliest != nullptr && sums[row].maximum > before) {
        highest_word[row] = tile + FirstAt(logits, words, sums[row].maximum);
      }
    }
  }
  for (int64_t row = 0; row < rows; ++row) {
    const bool scored = targets[row] >= 0;
    nats[row] = scored ? Log(sums[row].total) + sums[row].maximum - target_logit[row] : 0;
    if (likeliest == nullptr) continue;
    likeliest[row] = scored && __builtin_isfinite(nats[row]) && highest_word[row] == targets[row];
  }
}

template <class T>
constexpr BlockKernels<T> Kernels(const char* isa) {
  return {isa, &FixCacheSizes, &Extend<T>, &Advance<T>, &Score<T>};
}

}  // namespace LONGROPE_ISA
}  // namespace longrope::reference
