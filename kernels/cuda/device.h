// What device code sees of the device: CUDA and its tensor-core instructions, as functions.
//
// Kernels name nothing else of CUDA but __global__, __device__, __launch_bounds__, threadIdx,
// blockIdx, blockDim, gridDim, __syncthreads, __syncwarp, __shfl_xor_sync, #pragma unroll and the
// number types. Tests put a twin of this header before it in the include path and run the unchanged
// kernels on a CPU.
//
// All 32 lanes of a warp call Mma, LoadMatrix4 and LoadMatrix4Trans together, at the same place.
// Fragments are those of the PTX manual ("Matrix Fragments for mma.m16n8k16 with floating point
// type"), with g = lane / 4 and t = lane % 4; a 32-bit register holds two elements, the lower index
// in its low half:
//   A 16x16  a[0] = (g, 2t..2t+1)  a[1] = (g+8, 2t..)  a[2] = (g, 2t+8..)  a[3] = (g+8, 2t+8..)
//   B 16x8   b0 = (2t..2t+1, g)    b1 = (2t+8..2t+9, g)                        (k, column)
//   C, D     d[0], d[1] = (g, 2t..2t+1)   d[2], d[3] = (g+8, 2t..2t+1)         (row, column)
#pragma once

#include <cuda_bf16.h>
#include <cuda_fp16.h>
#include <cuda_runtime.h>

#include <cstddef>
#include <cstdint>
#include <type_traits>

#include "kernels/cuda/check.h"
#include "kernels/cuda/shared_memory.h"

#if defined(__CUDA_ARCH__) && __CUDA_ARCH__ < 800
#error "bf16 mma.sync and cp.async need sm_80 or later"
#endif

namespace longrope::cuda {

// The block's dynamic shared memory, on a 128-byte boundary.
template <class T>
__device__ inline T* SharedMemory() {
  extern __shared__ __align__(128) unsigned char bytes[];
  return reinterpret_cast<T*>(bytes);
}

// The only way to start a kernel. Says whether the launch itself was refused; what fails later
// comes out of a later call.
template <class... Parameters, class... Arguments>
[[nodiscard]] cudaError_t Launch(void (*kernel)(Parameters...), dim3 grid, dim3 block,
                                 size_t shared_bytes, cudaStream_t stream, Arguments... arguments) {
  const cudaError_t refused = AllowSharedBytes(reinterpret_cast<const void*>(kernel), shared_bytes);
  if (refused != cudaSuccess) return refused;
  cudaLaunchConfig_t config = {};
  config.gridDim = grid;
  config.blockDim = block;
  config.dynamicSmemBytes = shared_bytes;
  config.stream = stream;
  // Not <<<>>>, whose outcome is the thread's last error: that may be another device's, which was
  // lost and whose memory was freed meanwhile.
  return cudaLaunchKernelEx(&config, kernel, static_cast<Parameters>(arguments)...);
}

__device__ inline uint32_t SharedAddress(const void* pointer) {
  return static_cast<uint32_t>(__cvta_generic_to_shared(pointer));
}

// d += A B, one 16x8x16 product with f32 sums. T: __nv_bfloat16 or __half.
template <class T>
__device__ inline void Mma(float (&d)[4], const uint32_t (&a)[4], uint32_t b0, uint32_t b1) {
  if constexpr (std::is_same_v<T, __half>) {
    asm volatile(
        "mma.sync.aligned.m16n8k16.row.col.f32.f16.f16.f32 {%0,%1,%2,%3}, {%4,%5,%6,%7}, {%8,%9}, "
        "{%0,%1,%2,%3};"
        : "+f"(d[0]), "+f"(d[1]), "+f"(d[2]), "+f"(d[3])
        : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "r"(b0), "r"(b1));
  } else {
    static_assert(std::is_same_v<T, __nv_bfloat16>);
    asm volatile(
        "mma.sync.aligned.m16n8k16.row.col.f32.bf16.bf16.f32 {%0,%1,%2,%3}, {%4,%5,%6,%7}, "
        "{%8,%9}, "
        "{%0,%1,%2,%3};"
        : "+f"(d[0]), "+f"(d[1]), "+f"(d[2]), "+f"(d[3])
        : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "r"(b0), "r"(b1));
  }
}

// Four 8x8 matrices of 16-bit elements. Lane 8 i + r gives the shared address of row r of matrix i,
// on a 16-byte boundary; every lane gets r[i] = elements (g, 2t), (g, 2t+1) of matrix i.
__device__ inline void LoadMatrix4(uint32_t (&r)[4], const void* row) {
  asm volatile("ldmatrix.sync.aligned.m8n8.x4.shared.b16 {%0,%1,%2,%3}, [%4];"
               : "=r"(r[0]), "=r"(r[1]), "=r"(r[2]), "=r"(r[3])
               : "r"(SharedAddress(row))
               : "memory");
}

// As LoadMatrix4, each matrix transposed: r[i] = elements (2t, g), (2t+1, g) of matrix i.
__device__ inline void LoadMatrix4Trans(uint32_t (&r)[4], const void* row) {
  asm volatile("ldmatrix.sync.aligned.m8n8.x4.trans.shared.b16 {%0,%1,%2,%3}, [%4];"
               : "=r"(r[0]), "=r"(r[1]), "=r"(r[2]), "=r"(r[3])
               : "r"(SharedAddress(row))
               : "memory");
}

// Starts a copy of `bytes` (0 to 16) from global `source` to 16 bytes of shared memory; the rest
// becomes zero. Both addresses are on 16-byte boundaries. The data are there once the group of the
// copy has been waited for by this thread.
__device__ inline void CopyAsync16(void* target, const void* source, int bytes) {
  asm volatile("cp.async.cg.shared.global [%0], [%1], 16, %2;" ::"r"(SharedAddress(target)),
               "l"(source), "r"(bytes)
               : "memory");
}

// Makes one group of the copies that this thread started since its last commit.
__device__ inline void CopyCommit() { asm volatile("cp.async.commit_group;" ::: "memory"); }

// Waits until at most the kPending newest groups of this thread are still under way.
template <int kPending>
__device__ inline void CopyWait() {
  asm volatile("cp.async.wait_group %0;" ::"n"(kPending) : "memory");
}

// 2^x with a relative error of at most 2^-22; -inf gives 0.
__device__ inline float Exp2(float x) {
  float y;
  asm("ex2.approx.ftz.f32 %0, %1;" : "=f"(y) : "f"(x));
  return y;
}

// 1 / sqrt(x), correctly rounded in its two steps.
__device__ inline float InverseSquareRoot(float x) { return 1.0f / sqrtf(x); }

}  // namespace longrope::cuda
