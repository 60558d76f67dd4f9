// Stored tensors: their shapes, as lists of sizes, slowest first, and what stands in them.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "kernels/weights.h"

namespace longrope {

// "[3, 4]"
std::string ShapeText(const std::vector<int64_t>& shape);

// As a matrix is stored: a vector has one size.
std::vector<int64_t> ShapeOf(const MatrixSize& size);

// Number of the first element of a tensor that is not finite, in the order of storage. `bytes`:
// whole blocks.
std::optional<int64_t> FirstNonFinite(std::span<const std::byte> bytes, DType dtype);

// Calls body(role, layer) for every weight of a model.
template <class Body>
void ForEveryWeight(int layers, const Body& body) {
  for (int layer = 0; layer < layers; ++layer) {
    for (const WeightRole role : kLayerRoles) body(role, layer);
  }
  for (auto role : {WeightRole::kEmbedding, WeightRole::kFinalNorm, WeightRole::kHead}) {
    body(role, 0);
  }
}

}  // namespace longrope
