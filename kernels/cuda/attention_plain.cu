// Causal attention for any head size and type: one warp a query row, 32 keys a step, in float.
//
// A block of 8 warps shares tiles of 32 keys and values in shared memory, as float: at head size d
// (32 (d + 1) + 32 d + 8 (d + 32)) * 4 bytes, 38 KiB at 128; 48 registers. A tile serves 8 rows: 4
// FLOP a byte of keys and values read, which is slow; this kernel judges the others and serves the
// sizes they lack. Online softmax: scores stay in registers, one a lane.
#include "kernels/cuda/number.cuh"
#include "kernels/cuda/ops.h"
#include "kernels/cuda/reduce.cuh"

namespace longrope::cuda {
namespace {

constexpr int kWarps = 8, kThreads = 32 * kWarps;
constexpr int kKeys = 32;  // of a tile: one a lane
constexpr int SharedBytes(int dim) {
  return static_cast<int>(sizeof(float)) * (kKeys * (2 * dim + 1) + kWarps * (dim + kKeys));
}
static_assert(SharedBytes(kMaxHeadDim) <= kMaxSharedBytes);

template <class T>
__global__ void __launch_bounds__(kThreads)
    AttendPlainKernel(AttentionArguments<T> arguments, float scale) {
  const int dim = arguments.head_dim;
  float* keys = SharedMemory<float>();       // [kKeys, dim + 1], so that lanes hit other banks
  float* values = keys + kKeys * (dim + 1);  // [kKeys, dim]
  float* queries = values + kKeys * dim;     // [kWarps, dim]
  const int warp = static_cast<int>(threadIdx.x) / 32, lane = static_cast<int>(threadIdx.x) % 32;
  const int head = static_cast<int>(blockIdx.y);
  const int kv_head = head / (arguments.heads / arguments.kv_heads);
  const int block_row = static_cast<int>(blockIdx.x) * kWarps;
  const int row = block_row + warp;
  const int64_t row_stride = static_cast<int64_t>(arguments.heads) * dim;
  const int64_t key_stride = static_cast<int64_t>(arguments.kv_heads) * dim;

  // Keys [first, last) that this row sees, and those that any row of the block sees.
  const int window = arguments.window > 0 ? arguments.window : arguments.first + arguments.rows;
  const int last = arguments.first + row + 1, first = max(0, last - window);
  const int block_last = arguments.first + min(block_row + kWarps, arguments.rows);
  const int block_first = max(0, arguments.first + block_row + 1 - window);

  float* query = queries + warp * dim;
  float* weights = queries + kWarps * dim + warp * kKeys;  // of the row's keys in a tile
  if (row < arguments.rows) {
    const T* from = arguments.q + row * row_stride + static_cast<int64_t>(head) * dim;
    for (int d = lane; d < dim; d += 32) query[d] = ToFloat(from[d]) * scale;
  }
  __syncwarp();

  float top = -INFINITY, sum = 0, total[kMaxHeadDim / 32] = {};
  for (int tile = block_first; tile < block_last; tile += kKeys) {
    for (int i = static_cast<int>(threadIdx.x); i < kKeys * dim; i += kThreads) {
      const int key = i / dim, d = i % dim;
      const bool live = tile + key < block_last;
      const int64_t at = (tile + key) * key_stride + static_cast<int64_t>(kv_head) * dim + d;
      keys[key * (dim + 1) + d] = live ? ToFloat(arguments.k[at]) : 0.0f;
      values[i] = live ? ToFloat(arguments.v[at]) : 0.0f;
    }
    __syncthreads();
    const int key = tile + lane;
    float score = -INFINITY;
    if (row < arguments.rows && key >= first && key < last) {
      score = 0;
      for (int d = 0; d < dim; ++d) score += query[d] * keys[lane * (dim + 1) + d];
    }
    const float next = fmaxf(top, WarpReduce<Max>(score));
    // Until the row has seen a key all are -inf, whose difference is no number.
    const float base = next == -INFINITY ? 0.0f : next;
    const float keep = expf(top - base), weight = expf(score - base);
    sum = sum * keep + WarpReduce<Sum>(weight);
    top = next;
#pragma unroll
    for (int part = 0; part < kMaxHeadDim / 32; ++part) total[part] *= keep;
    weights[lane] = weight;
    __syncwarp();  // every lane's weight is there
    for (int j = 0; j < kKeys; ++j) {
      const float of_key = weights[j];
      // A key that no query of the row sees must not add 0 times what may not be finite.
      if (of_key == 0) continue;
#pragma unroll
      for (int part = 0; part < kMaxHeadDim / 32; ++part) {
        if (part * 32 + lane < dim) total[part] += of_key * values[j * dim + part * 32 + lane];
      }
    }
    __syncthreads();  // the next tile overwrites this one, and the weights
  }
  if (row >= arguments.rows) return;
  T* out = arguments.out + row * row_stride + static_cast<int64_t>(head) * dim;
#pragma unroll
  for (int part = 0; part < kMaxHeadDim / 32; ++part) {
    if (part * 32 + lane < dim) out[part * 32 + lane] = FromFloat<T>(total[part] / sum);
  }
}

}  // namespace

template <class T>
void AttendPlain(const AttentionArguments<T>& arguments, cudaStream_t stream) {
  const int dim = arguments.head_dim;
  const dim3 grid(static_cast<unsigned>((arguments.rows + kWarps - 1) / kWarps),
                  static_cast<unsigned>(arguments.heads));
  LONGROPE_CUDA_CHECK(Launch(AttendPlainKernel<T>, grid, dim3(kThreads), SharedBytes(dim), stream,
                             arguments, 1.0f / sqrtf(static_cast<float>(dim))));
}

template <class T>
void Attend(const AttentionArguments<T>& arguments, cudaStream_t stream) {
  if constexpr (sizeof(T) == 2) {
    if (HasTensorAttention(arguments.head_dim)) return AttendTensor(arguments, stream);
  }
  AttendPlain(arguments, stream);
}

template void AttendPlain(const AttentionArguments<float>&, cudaStream_t);
template void AttendPlain(const AttentionArguments<__half>&, cudaStream_t);
template void AttendPlain(const AttentionArguments<__nv_bfloat16>&, cudaStream_t);
template void Attend(const AttentionArguments<float>&, cudaStream_t);
template void Attend(const AttentionArguments<__half>&, cudaStream_t);
template void Attend(const AttentionArguments<__nv_bfloat16>&, cudaStream_t);

}  // namespace longrope::cuda
