// The threads of one kernel: what runs them, and what device code calls.
#pragma once

#include <cuda_runtime_api.h>

#include <cstddef>
#include <cstdint>
#include <random>

#include "tests/cuda/stand_in/stand_in.h"

namespace longrope::stand_in {

inline constexpr size_t kSharedBytesPerBlock = 99 << 10;   // with opt-in: of the least device
inline constexpr size_t kSharedBytesByDefault = 48 << 10;  // without
inline constexpr unsigned kThreadsPerBlock = 1024;
inline constexpr int kWarp = 32;

struct Grid {
  dim3 blocks, threads;
  size_t shared_bytes = 0;
};

// cudaSuccess, or what a launch is refused with.
cudaError_t CheckGrid(const Grid& grid);

// Calls body(argument) once for every thread of the grid, which CheckGrid accepts. Returns further
// passes of ldmatrix. Throws Fault on misuse; the kernel's other threads are abandoned then.
int64_t RunGrid(const Grid& grid, ThreadOrder order, TensorCore tensor_core, std::mt19937& random,
                void (*body)(void*), void* argument);

// ---- From here on: called by device code, within RunGrid.

// Ends the kernel with a Fault that names block and thread.
[[noreturn]] void Fail(const char* why);

int Lane();
unsigned char* SharedBytes();
size_t SharedByteCount();

// __syncthreads: every thread of the block must arrive.
void BlockBarrier();

// Every lane of `mask` gives `bytes` at `in` and gets what lane `from` gave. `fence`: orders
// memory, too, as __syncwarp does.
void WarpExchange(unsigned mask, const void* in, void* out, int bytes, int from, bool fence);

// Waits until all lanes of the warp have called it with the same `combine`, which then runs once on
// the operands of the lanes. Orders no memory, like mma.sync and ldmatrix.
using Combine = void (*)(void* const operands[kWarp]);
void WarpCollective(Combine combine, void* operands);

// Asynchronous copies of the calling thread. What touches memory is done by the caller, whom the
// thread sanitizer watches.
struct Copy {
  void* target;
  const void* source;
  int bytes;
};
void StartCopy(const Copy& copy);
void CommitCopies();
// Takes the oldest copy that waiting for all but the newest `pending` groups completes. False:
// none.
bool TakeCopy(int pending, Copy* copy);

// For combine functions.
TensorCore CurrentTensorCore();
void AddBankConflicts(int64_t passes);

}  // namespace longrope::stand_in

// Of the running thread, as CUDA names them. The scheduler sets them.
extern constinit thread_local uint3 threadIdx;
extern constinit thread_local uint3 blockIdx;
extern constinit thread_local dim3 blockDim;
extern constinit thread_local dim3 gridDim;
