// How much a forward pass has to compute and to keep, from the model's shape alone.
#pragma once

#include <cstdint>

#include "kernels/weights.h"

namespace longrope {

// Weights of the matrices and the embedding, a tied head not counted twice.
double Parameters(const ModelShape& shape, bool tied_head);

// Floating-point operations (a multiplication and an addition are two) of one document whose tokens
// are all scored: matrices, causal attention, head. Norms and rotations are left out.
double DocumentFlops(const ModelShape& shape, int64_t tokens);

// Bytes of a pass layer by layer in 16 bits, as a device holds them.
struct DeviceBytes {
  double weights = 0;
  double hidden = 0;      // states of all tokens
  double keys = 0;        // keys and values of one layer
  double rope_table = 0;  // cos and sin, float32

  double Total() const { return weights + hidden + keys + rope_table; }
};
DeviceBytes LayerByLayerBytes(const ModelShape& shape, bool tied_head, int64_t tokens);

// Keys that a row attends to, on average.
double MeanKeys(const ModelShape& shape, int64_t tokens);

}  // namespace longrope
