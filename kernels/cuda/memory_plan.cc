#include "kernels/cuda/memory_plan.h"

#include <algorithm>

#include "kernels/round_up.h"

namespace longrope::cuda {
namespace {

constexpr int64_t kFloat = 4, kId = 4;

}  // namespace

int64_t MatrixElements(const MatrixSize& size) { return RoundUp(size.Elements(), 128); }

int64_t LayerElements(const ModelShape& shape) {
  int64_t elements = 0;
  for (const WeightRole role : kLayerMatrices) elements += MatrixElements(WeightSize(role, shape));
  return elements;
}

int64_t WideWidth(const ModelShape& shape) {
  return std::max(shape.QueryWidth(), int64_t{shape.ffn});
}

PassMemory MemoryOf(const PassShape& pass, int64_t tokens, KvScope scope, const Placement& where) {
  const ModelShape& s = pass.model;
  const int64_t type = SizeOf(pass.type), block = pass.block_rows;
  const int64_t padded = RoundUp(tokens, block);
  const int64_t layer = LayerElements(s) * type, layers = s.layers * layer;
  const int64_t rotations = block * s.head_dim * kFloat;  // cos and sin of half as many pairs
  PassMemory memory;
  memory.bound = int64_t{s.vocab} * s.hidden * type * (pass.tied_head ? 1 : 2) +
                 (2 * int64_t{s.layers} + 1) * s.hidden * kFloat;
  (where.weights ? memory.bound : memory.pinned) += layers;
  memory.layer_slots = where.weights ? 0 : 2 * layer;
  memory.hidden = (where.hidden ? padded : block) * s.hidden * type;
  if (!where.hidden) memory.pinned += padded * s.hidden * type;
  memory.keys = (scope == KvScope::kAllLayers ? s.layers : 1) * 2 * padded * s.KvWidth() * type;
  const int64_t results = block * (kFloat + 1);  // nats, and whether the likeliest
  memory.working = padded * kId + block * (s.hidden + 2 * WideWidth(s)) * type + rotations +
                   block * std::min<int64_t>(kVocabTile, s.vocab) * kFloat + block * 4 * kFloat +
                   block * kId + results + kBlasWorkspaceBytes;
  memory.pinned += 2 * rotations + block * kId + results;
  return memory;
}

Placement Place(const PassShape& pass, int64_t longest, int64_t device_bytes) {
  for (const Placement where : {Placement{true, true}, {false, true}, {true, false}}) {
    if (MemoryOf(pass, longest, KvScope::kOneLayer, where).Device() <= device_bytes) return where;
  }
  return {false, false};
}

}  // namespace longrope::cuda
