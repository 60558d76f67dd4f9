// What device code calls.
#include "tests/cuda/stand_in/block.h"
#include "tests/cuda/stand_in/sanitizers.h"
#include "tests/cuda/stand_in/thread.h"

namespace longrope::stand_in {

void Fail(const char* why) {
  kernel.fault = why;
  self->fiber.Leave(false);
  __builtin_trap();
}

int Lane() { return IndexOf(*self) % kWarp; }
unsigned char* SharedBytes() { return kernel.shared; }
size_t SharedByteCount() { return kernel.grid->shared_bytes; }

void BlockBarrier() {
  char* key = &kernel.keys->barrier[self->barriers++ % 2];
  Release(key);
  self->state = State::kAtBlock;
  self->fiber.Leave(false);
  Acquire(key);
}

void WarpExchange(unsigned mask, const void* in, void* out, int bytes, int from, bool fence) {
  Thread& thread = *self;
  if ((mask >> Lane() & 1) == 0) Fail("a lane is not in the mask that it names");
  thread.mask = mask;
  thread.in = in;
  thread.out = out;
  thread.bytes = bytes;
  thread.from = from;
  thread.combine = nullptr;
  const int warp = IndexOf(thread) / kWarp;
  char* key =
      mask == ~0u ? &kernel.keys->warp[warp][thread.fences % 2] : &kernel.keys->part_of_warp[warp];
  if (fence) {
    Release(key);
    ++thread.fences;
  }
  thread.state = State::kAtWarp;
  thread.fiber.Leave(false);
  if (fence) Acquire(key);
}

void WarpCollective(Combine combine, void* operands) {
  Thread& thread = *self;
  thread.mask = ~0u;
  thread.out = operands;
  thread.bytes = 0;
  thread.combine = combine;
  thread.state = State::kAtWarp;
  thread.fiber.Leave(false);
}

void StartCopy(const Copy& copy) { self->copies.push_back({copy, self->commits}); }
void CommitCopies() { ++self->commits; }

bool TakeCopy(int pending, Copy* copy) {
  Thread& thread = *self;
  if (thread.first_copy == thread.copies.size()) {
    thread.copies.clear();
    thread.first_copy = 0;
    return false;
  }
  const PendingCopy& oldest = thread.copies[thread.first_copy];
  if (oldest.group >= thread.commits - pending) return false;
  *copy = oldest.copy;
  ++thread.first_copy;
  return true;
}

TensorCore CurrentTensorCore() { return kernel.tensor_core; }
void AddBankConflicts(int64_t passes) { kernel.bank_conflicts += passes; }

}  // namespace longrope::stand_in
