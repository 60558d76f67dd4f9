// How much a forward pass has to compute, from the model's shape alone.
#pragma once

#include <cstdint>

#include "kernels/weights.h"

namespace longrope {

// Weights of the matrices and the embedding, a tied head not counted twice.
double Parameters(const ModelShape& shape, bool tied_head);

// Floating-point operations (a multiplication and an addition are two) of all layers on one
// document: matrices and causal attention. Norms and rotations are left out.
double LayerFlops(const ModelShape& shape, int64_t tokens);

// And of the head, for a document whose tokens are all scored.
double DocumentFlops(const ModelShape& shape, int64_t tokens);

// Keys that a row attends to, on average.
double MeanKeys(const ModelShape& shape, int64_t tokens);

}  // namespace longrope
