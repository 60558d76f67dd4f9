// Shapes and weights of a LLaMA-family transformer, as plain data.
#pragma once

#include <cstddef>
#include <cstdint>

namespace longrope {

// All sizes in elements.
struct ModelShape {
  int layers = 0, hidden = 0, heads = 0, kv_heads = 0, head_dim = 0, ffn = 0, vocab = 0;
  float norm_epsilon = 1e-5f;
  int64_t sliding_window = 0;  // keys a query sees, its own included; 0: all before it

  int64_t QueryWidth() const { return int64_t{heads} * head_dim; }
  int64_t KvWidth() const { return int64_t{kv_heads} * head_dim; }
};

// Number formats in which weights are stored (little-endian). An engine computes in one of the
// first three; the others are ggml's blocks of numbers under common scales (load_row.h).
enum class DType { kF32, kF16, kBF16, kQ4_0, kQ4_1, kQ5_0, kQ5_1, kQ8_0, kQ4K, kQ5K, kQ6K };

// The smallest piece of a format that stands for itself.
struct Block {
  int64_t elements, bytes;
};
inline constexpr Block BlockOf(DType type) {
  switch (type) {
    case DType::kF32:
      return {1, 4};
    case DType::kF16:
    case DType::kBF16:
      return {1, 2};
    case DType::kQ4_0:
      return {32, 18};
    case DType::kQ4_1:
      return {32, 20};
    case DType::kQ5_0:
      return {32, 22};
    case DType::kQ5_1:
      return {32, 24};
    case DType::kQ8_0:
      return {32, 34};
    case DType::kQ4K:
      return {256, 144};
    case DType::kQ5K:
      return {256, 176};
    case DType::kQ6K:
      return {256, 210};
  }
  return {1, 0};
}

// Bytes of an element of a format whose blocks are single numbers.
inline constexpr int64_t SizeOf(DType type) { return BlockOf(type).bytes / BlockOf(type).elements; }
// "f32", "f16", "bf16", "q4_0", ... "q6_k".
const char* NameOf(DType type);

// A row-major matrix that somebody else owns; a vector has rows = 1. `data` may be unaligned; every
// row is whole blocks.
struct TensorView {
  const std::byte* data = nullptr;
  DType dtype = DType::kF32;
  int64_t rows = 0, cols = 0;
  // Above 0: rows are heads of so many, which are stored pair by pair of the rotation (0, d/2, 1,
  // d/2 + 1, ...), as GGUF files of `llama` have it. Engines compute with the halves side by side.
  int64_t paired_head = 0;
};

// Matrices are [outputs, inputs]: y = W x.
enum class WeightRole {
  kEmbedding,  // [vocab, hidden]
  kInputNorm,  // [1, hidden], before attention
  kQuery,      // [heads * head_dim, hidden]
  kKey,        // [kv_heads * head_dim, hidden]
  kValue,      // [kv_heads * head_dim, hidden]
  kOutput,     // [hidden, heads * head_dim]
  kFfnNorm,    // [1, hidden], before the feed-forward half
  kGate,       // [ffn, hidden]
  kUp,         // [ffn, hidden]
  kDown,       // [hidden, ffn]
  kFinalNorm,  // [1, hidden]
  kHead,       // [vocab, hidden]; the embedding's own view if they are tied
};

// Those that every layer has, in the order in which they are used.
inline constexpr WeightRole kLayerRoles[] = {
    WeightRole::kInputNorm, WeightRole::kQuery,  WeightRole::kKey,
    WeightRole::kValue,     WeightRole::kOutput, WeightRole::kFfnNorm,
    WeightRole::kGate,      WeightRole::kUp,     WeightRole::kDown};

struct MatrixSize {
  int64_t rows = 0, cols = 0;
  int64_t Elements() const { return rows * cols; }
};
MatrixSize WeightSize(WeightRole role, const ModelShape& shape);

// Weights by role. Views stay valid as long as the source; thread-safe.
class WeightSource {
 public:
  virtual ~WeightSource() = default;
  // `layer` is ignored for the embedding, the final norm and the head.
  virtual TensorView Get(WeightRole role, int layer) const = 0;
};

// The view of a role. Throws std::invalid_argument unless it is of the size that the shape asks
// for.
TensorView CheckedWeight(const WeightSource& weights, WeightRole role, int layer,
                         const ModelShape& shape);

}  // namespace longrope
