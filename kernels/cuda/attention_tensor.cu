// Exact causal attention on tensor cores, after FlashAttention-2 (arXiv 2307.08691): scores and
// probabilities stay in registers, keys and values pass once through shared memory.
//
// While the tile of keys and values j is used, tile j + 1 is on its way into the other buffer.
// Shared memory: [query rows, later the output's][keys 0][keys 1][values 0][values 1], rows padded
// (attention_tile.cuh). Two blocks share a processor of sm_80, 90 and 100; sm_86, 89 and 120 have
// room for two at 80 only.
//
// head size  rows x keys  shared   registers  FLOP a byte of keys and values
//   64       128 x 64     54 KiB     240      128
//   80       128 x 32     44 KiB     220      128
//   96       128 x 32     52 KiB     232      128
//  128       128 x 32     68 KiB     255      128
//
// The bytes are those from L2: the blocks of a head's rows, and of the heads that share it, read
// the same keys at about the same time, so that memory sees a fraction of them. Registers, here and
// in the other kernels: the most that nvcc takes on any architecture, none of them spilled
// (tests/cuda/resources).
#include <climits>

#include "kernels/cuda/attention_tile.cuh"
#include "kernels/cuda/number.cuh"
#include "kernels/cuda/ops.h"
#include "kernels/cuda/reduce.cuh"

namespace longrope::cuda {
namespace {

// One warp's rows of the output, and what it knows of their softmax. Index [m][h] is row
// 16 m + 8 h + lane / 4 of the warp.
template <class T, int kDim>
struct WarpState {
  using Shape = FlashShape<kDim>;
  float total[Shape::kSteps][kDim / 8][4];
  float top[Shape::kSteps][2];
  float sum[Shape::kSteps][2];  // this lane's share

  __device__ WarpState() {
#pragma unroll
    for (int m = 0; m < Shape::kSteps; ++m) {
#pragma unroll
      for (int h = 0; h < 2; ++h) top[m][h] = -INFINITY, sum[m][h] = 0;
#pragma unroll
      for (int d = 0; d < kDim / 8; ++d) {
#pragma unroll
        for (int i = 0; i < 4; ++i) total[m][d][i] = 0;
      }
    }
  }
};

template <int kDim>
using Scores = float[FlashShape<kDim>::kSteps][FlashShape<kDim>::kKeys / 8][4];

// score = Q K^T. The rows of K are the columns of B, so nothing is transposed.
template <class T, int kDim>
__device__ inline void ScoreTile(Scores<kDim>& score, const T* queries, const T* keys, int lane) {
  using Shape = FlashShape<kDim>;
#pragma unroll
  for (int d = 0; d < kDim / 16; ++d) {
    uint32_t a[Shape::kSteps][4];
#pragma unroll
    for (int m = 0; m < Shape::kSteps; ++m) {
      LoadMatrix4(a[m], queries + (16 * m + lane % 16) * Shape::kStride + 16 * d + lane / 16 * 8);
    }
#pragma unroll
    for (int n = 0; n < Shape::kKeys / 16; ++n) {
      uint32_t b[4];  // two B fragments: keys 16 n ... + 7, and the 8 after them
      LoadMatrix4(b, keys + (16 * n + lane / 16 * 8 + lane % 8) * Shape::kStride + 16 * d +
                         lane / 8 % 2 * 8);
#pragma unroll
      for (int m = 0; m < Shape::kSteps; ++m) {
        Mma<T>(score[m][2 * n], a[m], b[0], b[1]);
        Mma<T>(score[m][2 * n + 1], a[m], b[2], b[3]);
      }
    }
  }
}

// What of a tile's keys a row must not see becomes -inf. `position`: of the warp's first row.
template <int kDim>
__device__ inline void MaskTile(Scores<kDim>& score, int first_key, int position, int window,
                                int lane) {
  using Shape = FlashShape<kDim>;
#pragma unroll
  for (int m = 0; m < Shape::kSteps; ++m) {
#pragma unroll
    for (int n = 0; n < Shape::kKeys / 8; ++n) {
#pragma unroll
      for (int i = 0; i < 4; ++i) {
        const int row = position + 16 * m + 8 * (i / 2) + lane / 4;
        const int key = first_key + 8 * n + 2 * (lane % 4) + i % 2;
        if (key > row || key <= row - window) score[m][n][i] = -INFINITY;
      }
    }
  }
}

// Scores become probabilities up to a factor of the row, which is kept in the state. `factor`: of
// the scores, log2(e) included: 2^x is what the hardware computes.
template <class T, int kDim>
__device__ inline void SoftmaxTile(WarpState<T, kDim>& state, Scores<kDim>& score, float factor) {
  using Shape = FlashShape<kDim>;
#pragma unroll
  for (int m = 0; m < Shape::kSteps; ++m) {
#pragma unroll
    for (int h = 0; h < 2; ++h) {
      float best = state.top[m][h];
#pragma unroll
      for (int n = 0; n < Shape::kKeys / 8; ++n) {
        best = fmaxf(best, fmaxf(score[m][n][2 * h], score[m][n][2 * h + 1]));
      }
      best = QuadReduce<Max>(best);
      // Until the row has seen a key all are -inf, whose difference is no number.
      const float base = best == -INFINITY ? 0.0f : best;
      const float shift = factor * base;
      // Exactly 1 where the maximum stays: a difference of rounded products would not be, and over
      // thousands of tiles weigh early keys otherwise than late ones.
      const float keep = Exp2(factor * (state.top[m][h] - base));
      state.top[m][h] = best;
      state.sum[m][h] *= keep;
#pragma unroll
      for (int d = 0; d < kDim / 8; ++d) {
        state.total[m][d][2 * h] *= keep;
        state.total[m][d][2 * h + 1] *= keep;
      }
#pragma unroll
      for (int n = 0; n < Shape::kKeys / 8; ++n) {
#pragma unroll
        for (int i = 2 * h; i < 2 * h + 2; ++i) {
          score[m][n][i] = Exp2(fmaf(score[m][n][i], factor, -shift));
          state.sum[m][h] += score[m][n][i];
        }
      }
    }
  }
}

// total += P V. Two neighbouring D fragments of the scores are, rounded, one A fragment; V is
// transposed as it is loaded.
template <class T, int kDim>
__device__ inline void AddTile(WarpState<T, kDim>& state, const Scores<kDim>& score,
                               const T* values, int lane) {
  using Shape = FlashShape<kDim>;
#pragma unroll
  for (int n = 0; n < Shape::kKeys / 16; ++n) {
    uint32_t p[Shape::kSteps][4];
#pragma unroll
    for (int m = 0; m < Shape::kSteps; ++m) {
      const float *low = score[m][2 * n], *high = score[m][2 * n + 1];
      p[m][0] = Pack<T>(low[0], low[1]);
      p[m][1] = Pack<T>(low[2], low[3]);
      p[m][2] = Pack<T>(high[0], high[1]);
      p[m][3] = Pack<T>(high[2], high[3]);
    }
#pragma unroll
    for (int d = 0; d < kDim / 16; ++d) {
      uint32_t b[4];
      LoadMatrix4Trans(b, values + (16 * n + lane % 16) * Shape::kStride + 16 * d + lane / 16 * 8);
#pragma unroll
      for (int m = 0; m < Shape::kSteps; ++m) {
        Mma<T>(state.total[m][2 * d], p[m], b[0], b[1]);
        Mma<T>(state.total[m][2 * d + 1], p[m], b[2], b[3]);
      }
    }
  }
}

// Divides, rounds, and goes through the warp's own query rows in shared memory, so that whole
// chunks of 16 bytes are written. `rows`: of the warp that exist. All lanes are done with the query
// rows.
template <class T, int kDim>
__device__ inline void WriteRows(const WarpState<T, kDim>& state, T* queries, T* out, int stride,
                                 int rows, int lane) {
  using Shape = FlashShape<kDim>;
#pragma unroll
  for (int m = 0; m < Shape::kSteps; ++m) {
#pragma unroll
    for (int h = 0; h < 2; ++h) {
      const float scale = 1.0f / QuadReduce<Sum>(state.sum[m][h]);
      T* row = queries + (16 * m + 8 * h + lane / 4) * Shape::kStride + 2 * (lane % 4);
#pragma unroll
      for (int d = 0; d < kDim / 8; ++d) {
        *reinterpret_cast<uint32_t*>(row + 8 * d) =
            Pack<T>(state.total[m][d][2 * h] * scale, state.total[m][d][2 * h + 1] * scale);
      }
    }
  }
  __syncwarp();
  for (int i = lane; i < Shape::kWarpRows * Shape::kChunks; i += 32) {
    const int row = i / Shape::kChunks, column = i % Shape::kChunks * 8;
    if (row < rows) {
      *reinterpret_cast<uint4*>(out + static_cast<int64_t>(row) * stride + column) =
          *reinterpret_cast<const uint4*>(queries + row * Shape::kStride + column);
    }
  }
}

// Grid (blocks of kRows rows, heads).
template <class T, int kDim>
__global__ void __launch_bounds__(128, 2)
    AttendTensorKernel(AttentionArguments<T> arguments, float factor) {
  using Shape = FlashShape<kDim>;
  T* queries = SharedMemory<T>();
  T* key_tiles = queries + Shape::kRows * Shape::kStride;
  T* value_tiles = key_tiles + 2 * Shape::kTile;

  const int warp = static_cast<int>(threadIdx.x) / 32, lane = static_cast<int>(threadIdx.x) % 32;
  const int head = static_cast<int>(blockIdx.y);
  const int kv_head = head / (arguments.heads / arguments.kv_heads);
  // The rows that see the most keys start first.
  const int block_row = static_cast<int>(gridDim.x - 1 - blockIdx.x) * Shape::kRows;
  const int warp_row = warp * Shape::kWarpRows;
  const int row_stride = arguments.heads * kDim, key_stride = arguments.kv_heads * kDim;

  // This warp's rows stand at [position, position + warp_rows); none of the block's sees block_end.
  const int warp_rows = min(Shape::kWarpRows, arguments.rows - block_row - warp_row);
  const int position = arguments.first + block_row + warp_row;
  const int block_end = arguments.first + min(block_row + Shape::kRows, arguments.rows);
  const int first_tile = max(0, arguments.first + block_row + 1 - arguments.window) / Shape::kKeys;
  const int last_tile = (block_end - 1) / Shape::kKeys;

  const auto start_tile = [&](int tile) {
    StartTile<T, kDim, Shape::kKeys>(key_tiles + tile % 2 * Shape::kTile,
                                     arguments.k + kv_head * kDim, key_stride, tile * Shape::kKeys,
                                     block_end);
    StartTile<T, kDim, Shape::kKeys>(value_tiles + tile % 2 * Shape::kTile,
                                     arguments.v + kv_head * kDim, key_stride, tile * Shape::kKeys,
                                     block_end);
  };
  StartTile<T, kDim, Shape::kRows>(queries, arguments.q + head * kDim, row_stride, block_row,
                                   arguments.rows);
  start_tile(first_tile);
  CopyCommit();

  WarpState<T, kDim> state;
#pragma unroll 1
  for (int tile = first_tile; tile <= last_tile; ++tile) {
    CopyWait<0>();    // this thread's part of the tile has landed
    __syncthreads();  // everybody's has, and nobody reads the tile before it, which is replaced now
    if (tile < last_tile) start_tile(tile + 1);
    CopyCommit();
    const int first_key = tile * Shape::kKeys;
    // The same for all lanes of the warp: what none of its rows sees.
    if (warp_rows <= 0 || first_key >= position + warp_rows ||
        first_key + Shape::kKeys <= position + 1 - arguments.window) {
      continue;
    }
    Scores<kDim> score = {};
    ScoreTile<T, kDim>(score, queries + warp_row * Shape::kStride,
                       key_tiles + tile % 2 * Shape::kTile, lane);
    if (first_key + Shape::kKeys > position + 1 ||
        first_key < position + warp_rows - arguments.window) {
      MaskTile<kDim>(score, first_key, position, arguments.window, lane);
    }
    SoftmaxTile<T, kDim>(state, score, factor);
    AddTile<T, kDim>(state, score, value_tiles + tile % 2 * Shape::kTile, lane);
  }

  if (warp_rows <= 0) return;
  __syncwarp();  // all lanes are done with the query rows
  WriteRows<T, kDim>(
      state, queries + warp_row * Shape::kStride,
      arguments.out + static_cast<int64_t>(block_row + warp_row) * row_stride + head * kDim,
      row_stride, warp_rows, lane);
}

template <class T, int kDim>
void LaunchTensor(const AttentionArguments<T>& arguments, cudaStream_t stream) {
  using Shape = FlashShape<kDim>;
  const dim3 grid(static_cast<unsigned>((arguments.rows + Shape::kRows - 1) / Shape::kRows),
                  static_cast<unsigned>(arguments.heads));
  constexpr float kLog2E = 1.44269504f;
  AttentionArguments<T> windowed = arguments;
  if (windowed.window == 0) windowed.window = INT_MAX;  // no test in the kernel
  LONGROPE_CUDA_CHECK(Launch(AttendTensorKernel<T, kDim>, grid, dim3(Shape::kThreads),
                             Shape::kSharedBytes, stream, windowed,
                             kLog2E / sqrtf(static_cast<float>(kDim))));
}

}  // namespace

template <class T>
void AttendTensor(const AttentionArguments<T>& arguments, cudaStream_t stream) {
  switch (arguments.head_dim) {
    case 64:
      return LaunchTensor<T, 64>(arguments, stream);
    case 80:
      return LaunchTensor<T, 80>(arguments, stream);
    case 96:
      return LaunchTensor<T, 96>(arguments, stream);
    case 128:
      return LaunchTensor<T, 128>(arguments, stream);
    default:
      throw std::invalid_argument("tensor attention has no head size of " +
                                  std::to_string(arguments.head_dim));
  }
}

template void AttendTensor(const AttentionArguments<__half>&, cudaStream_t);
template void AttendTensor(const AttentionArguments<__nv_bfloat16>&, cudaStream_t);

}  // namespace longrope::cuda
