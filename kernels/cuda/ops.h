// The kernels as functions of the host: each starts its work on a stream and returns.
//
// Pointers are device memory; matrices are row-major, rows without gaps. T: float, __half or
// __nv_bfloat16; all arithmetic is float32. Every sum has a fixed order. Sizes in elements. They
// throw DeviceError if a launch is refused.
#pragma once

#include <cuda_bf16.h>
#include <cuda_fp16.h>
#include <cuda_runtime_api.h>

#include <cstdint>

namespace longrope::cuda {

// out[row] = table[tokens[row]]; table: [*, width].
template <class T>
void Embed(T* out, const T* table, const int32_t* tokens, int64_t rows, int64_t width,
           cudaStream_t stream);

// out[row] = x[row] / sqrt(mean(x[row]^2) + epsilon) * weight; x: [rows, width].
template <class T>
void RmsNorm(T* out, const T* x, const float* weight, int64_t rows, int64_t width, float epsilon,
             cudaStream_t stream);

// Rotates every head of x: [rows, heads, 2 * pairs] in place, pair i being elements i and i +
// pairs, by cos and sin: [rows, pairs].
template <class T>
void Rotate(T* x, const float* cos, const float* sin, int64_t rows, int heads, int pairs,
            cudaStream_t stream);

// gate = gate / (1 + exp(-gate)) * up, element by element.
template <class T>
void SwiGlu(T* gate, const T* up, int64_t count, cudaStream_t stream);

inline constexpr int kMaxHeadDim = 256;
// Query rows of a block of the tensor-core attention: fewer at a time leave part of it idle.
inline constexpr int kMinBlockRows = 128;

// Causal attention of grouped-query heads. Query row i stands at position first + i and sees the
// keys of positions max(0, first + i - window + 1) ... first + i, or all before it if window is 0.
// A value v that is not finite may also spoil rows before it, within the tile of keys that it is
// in: the tensor-core kernel multiplies it by their weight, 0. The sum over a document is not
// finite either way.
template <class T>
struct AttentionArguments {
  T* out;      // [rows, heads, head_dim]
  const T* q;  // [rows, heads, head_dim]
  const T* k;  // [first + rows or more, kv_heads, head_dim]
  const T* v;  // likewise
  int rows, first, window;
  int heads, kv_heads, head_dim;  // head_dim even, 2 to kMaxHeadDim; heads a multiple of kv_heads
};

// By the tensor-core kernel where there is one for T and the head size, else by the plain one.
template <class T>
void Attend(const AttentionArguments<T>& arguments, cudaStream_t stream);

// One warp a query row; any T and head size.
template <class T>
void AttendPlain(const AttentionArguments<T>& arguments, cudaStream_t stream);

// T: __half or __nv_bfloat16; head_dim is one of HasTensorAttention.
template <class T>
void AttendTensor(const AttentionArguments<T>& arguments, cudaStream_t stream);
constexpr bool HasTensorAttention(int head_dim) {
  return head_dim == 64 || head_dim == 80 || head_dim == 96 || head_dim == 128;
}

// What the head knows of a row after some of the vocabulary: sum = total of exp(logit - maximum).
struct HeadState {
  float maximum, sum, target;  // target: its logit, once its part of the vocabulary was seen
  int32_t likeliest;           // id of the maximum, the lowest if several have it
};

// Before the first part.
void BeginHead(HeadState* state, int64_t rows, cudaStream_t stream);
// Adds the part [first, first + width) of the vocabulary; logits: [rows, width]. Rows whose target
// is negative are left alone.
void AddToHead(HeadState* state, const float* logits, const int32_t* targets, int64_t rows,
               int32_t first, int32_t width, cudaStream_t stream);
// nats[row] = -ln p(target), 0 for a negative target; likeliest[row] = 1 if the target is the
// likeliest id and nats[row] finite.
void FinishHead(float* nats, uint8_t* likeliest, const HeadState* state, const int32_t* targets,
                int64_t rows, cudaStream_t stream);

}  // namespace longrope::cuda
