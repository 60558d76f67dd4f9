#include "kernels/cuda/memory_plan.h"

#include <algorithm>

namespace longrope::cuda {
namespace {

constexpr int64_t kFloat = 4, kId = 4;

int64_t QueryWidth(const ModelShape& s) { return int64_t{s.heads} * s.head_dim; }
int64_t KvWidth(const ModelShape& s) { return int64_t{s.kv_heads} * s.head_dim; }

}  // namespace

int64_t MatrixElements(int64_t rows, int64_t cols) { return (rows * cols + 127) / 128 * 128; }

int64_t LayerElements(const ModelShape& s) {
  return 2 * MatrixElements(QueryWidth(s), s.hidden) + 2 * MatrixElements(KvWidth(s), s.hidden) +
         3 * MatrixElements(s.ffn, s.hidden);
}

PassMemory MemoryOf(const PassShape& pass, int64_t tokens, KvScope scope, const Placement& where) {
  const ModelShape& s = pass.model;
  const int64_t type = SizeOf(pass.type), block = pass.block_rows;
  const int64_t padded = (tokens + block - 1) / block * block;
  const int64_t layer = LayerElements(s) * type, layers = s.layers * layer;
  const int64_t rotations = block * s.head_dim * kFloat;  // cos and sin of half as many pairs
  PassMemory memory;
  memory.bound = int64_t{s.vocab} * s.hidden * type * (pass.tied_head ? 1 : 2) +
                 (2 * int64_t{s.layers} + 1) * s.hidden * kFloat;
  (where.weights ? memory.bound : memory.pinned) += layers;
  memory.layer_slots = where.weights ? 0 : 2 * layer;
  memory.hidden = (where.hidden ? padded : block) * s.hidden * type;
  if (!where.hidden) memory.pinned += padded * s.hidden * type;
  memory.keys = (scope == KvScope::kAllLayers ? s.layers : 1) * 2 * padded * KvWidth(s) * type;
  const int64_t wide = std::max(QueryWidth(s), int64_t{s.ffn});
  const int64_t results = block * (kFloat + 1);  // nats, and whether the likeliest
  memory.working = padded * kId + block * (s.hidden + 2 * wide) * type + rotations +
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
