// What of a pass lies where, and how many bytes it takes. Pure arithmetic: needs no device.
#pragma once

#include <cstdint>

#include "kernels/engine.h"
#include "kernels/weights.h"

namespace longrope::cuda {

// Where the large parts lie; what is not on the device is in page-locked memory of the host.
struct Placement {
  bool weights = true;  // of all layers; else of two, one copied while the other one computes
  bool hidden = true;   // states of all rows; else of a block of rows at a time
};

// Number formats, and how a sequence is cut.
struct PassShape {
  ModelShape model;
  bool tied_head = false;     // the head is the embedding
  DType type = DType::kBF16;  // of weights, hidden states, keys and values on the device
  int64_t block_rows = 2048;  // rows that are computed at a time, a multiple of 128
};

// Bytes.
struct PassMemory {
  int64_t bound = 0;        // embedding, head, norms; layers where they stay on the device
  int64_t layer_slots = 0;  // two layers where they do not
  int64_t hidden = 0;       // states on the device
  int64_t keys = 0;         // keys and values
  int64_t working = 0;      // of a block: projections, logits, rotations; ids; cuBLAS
  int64_t pinned = 0;       // page-locked memory of the host: bound weights, hidden states, staging

  int64_t Sequence() const { return layer_slots + hidden + keys + working; }
  int64_t Device() const { return bound + Sequence(); }
};

// Elements that a matrix takes among others: whole multiples of 128, so that each begins on a
// boundary wherever the layer lies; cuBLAS chooses kernels by that.
int64_t MatrixElements(const MatrixSize& size);

// A layer's matrices, in the order in which they lie.
inline constexpr WeightRole kLayerMatrices[] = {
    WeightRole::kQuery, WeightRole::kKey, WeightRole::kValue, WeightRole::kOutput,
    WeightRole::kGate,  WeightRole::kUp,  WeightRole::kDown};
int64_t LayerElements(const ModelShape& shape);

// Of the two arrays that hold queries and what they attended to, then the feed-forward half's.
int64_t WideWidth(const ModelShape& shape);

// Of a sequence of `tokens` tokens: exactly what the engine allocates for it.
PassMemory MemoryOf(const PassShape& pass, int64_t tokens, KvScope scope, const Placement& where);

// The fastest placement under which the longest sequence fits layer by layer into `device_bytes`:
// all on the device; layers streamed (a layer is copied once a document); hidden states paged (they
// are copied three times a layer); both. Both if nothing fits.
Placement Place(const PassShape& pass, int64_t longest, int64_t device_bytes);

// ids of the vocabulary whose logits exist at once.
inline constexpr int64_t kVocabTile = 4096;
// Given to cuBLAS, whose results depend on how much it has.
inline constexpr int64_t kBlasWorkspaceBytes = int64_t{32} << 20;

}  // namespace longrope::cuda
