// What the reference engine computes on one block of rows, compiled once per instruction set.
//
// A block is kBlockRows consecutive positions; every operation has the same shape and order of
// additions for a block, whoever asks for it, so results never depend on chunks or threads.
#pragma once

#include <cstdint>

#include "kernels/weights.h"

namespace longrope::reference {

inline constexpr int64_t kBlockRows = 128;   // rows of a block, padded with zero rows at the end
inline constexpr int64_t kKeyTile = 256;     // keys of one attention tile
inline constexpr int64_t kVocabTile = 1024;  // words of one tile of the head

// Weights of one layer, row-major [outputs, inputs].
template <class T>
struct LayerWeights {
  const T *input_norm, *query, *key, *value, *output, *ffn_norm, *gate, *up, *down;
};

// Working memory of one thread; every array has kBlockRows rows of the width named.
template <class T>
struct Scratch {
  T* normed;    // hidden
  T* query;     // heads * head_dim
  T* attended;  // heads * head_dim
  T* gate;      // ffn
  T* up;        // ffn
  T* scores;    // max(kKeyTile, kVocabTile)
  T* sums;      // head_dim: values weighted by the scores of one head
};

// Where the rotations of a block's first row stand; `rows` of them are there (fewer than a block at
// the end of a document: the padding is not rotated).
struct Rotation {
  const float *cos, *sin;
  int64_t rows;
};

// hidden: [kBlockRows, hidden]; keys, values: [kBlockRows, kv_heads * head_dim], written.
template <class T>
using ExtendBlock = void (*)(const ModelShape&, const LayerWeights<T>&, Rotation, const T* hidden,
                             T* keys, T* values, const Scratch<T>&);

// Carries hidden ([kBlockRows, hidden], in place) of the block that starts at position `begin`
// through a layer; keys and values: of the whole sequence from position 0.
template <class T>
using AdvanceBlock = void (*)(const ModelShape&, const LayerWeights<T>&, Rotation, int64_t begin,
                              const T* keys, const T* values, T* hidden, const Scratch<T>&);

// nats[i] for the first `rows` rows of a block, 0 where targets[i] < 0; head: [vocab, hidden].
// likeliest: as Sequence::Score's, or nullptr.
template <class T>
using ScoreBlock = void (*)(const ModelShape&, const T* final_norm, const T* head, const T* hidden,
                            int64_t rows, const int32_t* targets, double* nats, uint8_t* likeliest,
                            const Scratch<T>&);

// One instruction set's kernels.
template <class T>
struct BlockKernels {
  const char* isa;       // "x86-64" or "x86-64-v3"
  void (*initialise)();  // once, before threads start: fixes what would depend on the machine
  ExtendBlock<T> extend;
  AdvanceBlock<T> advance;
  ScoreBlock<T> score;
};

extern const BlockKernels<float> kFloatX8664, kFloatX8664V3;
extern const BlockKernels<double> kDoubleX8664, kDoubleX8664V3;

}  // namespace longrope::reference
