// What the lanes of a warp do together.
#include <string>

#include "tests/cuda/stand_in/thread.h"

namespace longrope::stand_in {
namespace {

// Moves that the compiler inlines: the thread sanitizer would intercept memcpy.
void Move(void* out, const void* in, int bytes) {
  switch (bytes) {
    case 0:
      break;
    case 2:
      __builtin_memcpy(out, in, 2);
      break;
    case 4:
      __builtin_memcpy(out, in, 4);
      break;
    case 8:
      __builtin_memcpy(out, in, 8);
      break;
  }
}

// Whether all lanes that `thread` waits for are there. Throws if one will not come.
bool AllArrived(const Thread& thread, const Thread* warp, int lanes) {
  bool all = true;
  for (int lane = 0; lane < lanes; ++lane) {
    if ((thread.mask >> lane & 1) == 0) continue;
    const Thread& other = warp[lane];
    if (other.state == State::kDone) {
      ThrowFault("a lane that a warp operation waits for has ended", thread);
    }
    if (other.state == State::kAtBlock) {
      ThrowFault("a lane that a warp operation waits for is at __syncthreads", thread);
    }
    if (other.state == State::kAtWarp &&
        (other.mask != thread.mask || other.bytes != thread.bytes ||
         other.combine != thread.combine) &&
        (other.mask >> (IndexOf(thread) % kWarp) & 1) != 0) {
      ThrowFault("lanes of a warp wait for each other in different operations", thread);
    }
    all &= other.state == State::kAtWarp && other.mask == thread.mask;
  }
  return all;
}

void Exchange(Thread* warp, int lanes, unsigned mask) {
  for (int lane = 0; lane < lanes; ++lane) {
    if ((mask >> lane & 1) == 0) continue;
    Thread& thread = warp[lane];
    if (thread.from < 0 || thread.from >= lanes || (mask >> thread.from & 1) == 0) {
      ThrowFault("a shuffle reads a lane that is not in its mask", thread);
    }
    Move(thread.out, warp[thread.from].in, thread.bytes);
  }
}

}  // namespace

bool ReleaseWarp(Thread* warp, int lanes) {
  bool any = false;
  for (int lane = 0; lane < lanes; ++lane) {
    Thread& thread = warp[lane];
    if (thread.state != State::kAtWarp || !AllArrived(thread, warp, lanes)) continue;
    if (thread.combine != nullptr) {
      if (lanes < kWarp) ThrowFault("a warp of fewer than 32 threads calls a collective", thread);
      void* operands[kWarp];
      for (int i = 0; i < kWarp; ++i) operands[i] = warp[i].out;
      self = &thread;
      thread.combine(operands);
    } else {
      Exchange(warp, lanes, thread.mask);
    }
    const unsigned mask = thread.mask;
    for (int i = 0; i < lanes; ++i) {
      if ((mask >> i & 1) != 0) warp[i].state = State::kReady;
    }
    any = true;
  }
  return any;
}

}  // namespace longrope::stand_in
