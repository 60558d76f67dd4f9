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

// Number formats in which weights are stored (little-endian).
enum class DType { kF32, kF16, kBF16 };

inline constexpr int64_t SizeOf(DType type) { return type == DType::kF32 ? 4 : 2; }
// "f32", "f16" or "bf16".
const char* NameOf(DType type);

// A row-major matrix that somebody else owns; a vector has rows = 1. `data` may be unaligned.
struct TensorView {
  const std::byte* data = nullptr;
  DType dtype = DType::kF32;
  int64_t rows = 0, cols = 0;
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
