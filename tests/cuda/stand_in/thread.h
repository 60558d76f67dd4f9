// The threads of the running kernel, as the scheduler and device code see them.
#pragma once

#include <cuda_runtime_api.h>

#include <cstddef>
#include <cstdint>
#include <vector>

#include "tests/cuda/stand_in/block.h"
#include "tests/cuda/stand_in/fiber.h"

namespace longrope::stand_in {

enum class State { kReady, kAtBlock, kAtWarp, kDone };

struct PendingCopy {
  Copy copy;
  int group;
};

// A CUDA thread.
struct Thread {
  uint3 index{};
  State state = State::kReady;
  // What it brought to a warp operation.
  unsigned mask = 0;
  const void* in = nullptr;
  void* out = nullptr;
  int bytes = 0;
  int from = 0;
  Combine combine = nullptr;
  // Asynchronous copies, oldest first; those before first_copy are done.
  std::vector<PendingCopy> copies;
  size_t first_copy = 0;
  int commits = 0;
  // So far, of the whole block and of the whole warp.
  unsigned barriers = 0;
  unsigned fences = 0;
  Fiber fiber;
};

// What the thread sanitizer is told about: addresses only.
// Two keys by turns: a thread that is already at the next barrier must not be taken to precede one
// that has only now been let go from this one.
struct BlockKeys {
  char barrier[2];
  char warp[kThreadsPerBlock / kWarp][2];
  char part_of_warp[kThreadsPerBlock / kWarp];  // __syncwarp of some lanes: not told apart
};

// The running kernel of this OS thread.
struct Kernel {
  const Grid* grid = nullptr;
  TensorCore tensor_core = TensorCore::kExact;
  void (*body)(void*) = nullptr;
  void* argument = nullptr;
  Thread* threads = nullptr;
  size_t count = 0;
  unsigned char* shared = nullptr;
  BlockKeys* keys = nullptr;
  int64_t bank_conflicts = 0;
  const char* fault = nullptr;  // the reason, once a thread failed
};

// Of this OS thread.
extern constinit thread_local Kernel kernel;
extern constinit thread_local Thread* self;  // the CUDA thread that runs

inline int IndexOf(const Thread& thread) { return static_cast<int>(&thread - kernel.threads); }

// Called by the scheduler, outside of any fiber.
[[noreturn]] void ThrowFault(const char* why, const Thread& thread);

// Performs the operations of one warp whose lanes have all arrived. False if there are none. Throws
// Fault if lanes wait that will never be let go.
bool ReleaseWarp(Thread* warp, int lanes);

}  // namespace longrope::stand_in
