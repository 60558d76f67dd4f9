#include "tests/cuda/stand_in/block.h"

#include <algorithm>
#include <memory>
#include <string>
#include <vector>

#include "tests/cuda/stand_in/fiber.h"
#include "tests/cuda/stand_in/sanitizers.h"
#include "tests/cuda/stand_in/shared_memory.h"
#include "tests/cuda/stand_in/thread.h"

constinit thread_local uint3 threadIdx{};
constinit thread_local uint3 blockIdx{};
constinit thread_local dim3 blockDim{};
constinit thread_local dim3 gridDim{};

namespace longrope::stand_in {

constinit thread_local Kernel kernel{};
constinit thread_local Thread* self = nullptr;

namespace {

// What the thread sanitizer is told about: addresses only.
struct LaunchKeys {
  char start, finish;
};
constinit thread_local LaunchKeys launch_keys{};

std::string Text(const char* name, uint3 index) {
  return std::string(name) + " " + std::to_string(index.x) + "," + std::to_string(index.y) + "," +
         std::to_string(index.z);
}

void RunThread() {
  Acquire(&launch_keys.start);
  kernel.body(kernel.argument);
  if (self->first_copy < self->copies.size()) {
    Fail("the thread ended with asynchronous copies that it never waited for");
  }
  self->state = State::kDone;
  Release(&launch_keys.finish);
  self->fiber.Leave(true);
}

void Enter(Thread& thread) {
  self = &thread;
  threadIdx = thread.index;
  thread.fiber.Enter();
  if (kernel.fault != nullptr) ThrowFault(kernel.fault, thread);
}

// One block, whose threads are ready to start, from its beginning to its end.
class Block {
 public:
  Block(ThreadOrder order, std::mt19937& random)
      : order_(order), random_(random), threads_(kernel.threads), count_(kernel.count) {
    if (order_ == ThreadOrder::kForward || order_ == ThreadOrder::kReverse ||
        order_ == ThreadOrder::kRandom) {
      turn_ = std::make_unique<unsigned[]>(count_);
      for (size_t i = 0; i < count_; ++i) {
        turn_[i] = static_cast<unsigned>(order_ == ThreadOrder::kReverse ? count_ - 1 - i : i);
      }
    }
  }

  void Run() {
    for (;;) {
      if (turn_ ? RunByTurns() : RunByWarps()) continue;
      if (CountOf(State::kDone) == count_) return;
      if (CountOf(State::kAtBlock) == count_) {
        for (size_t i = 0; i < count_; ++i) threads_[i].state = State::kReady;
        continue;
      }
      FailStuck();
    }
  }

 private:
  // Each lets threads run until all wait; true if a warp operation set some free again.
  bool RunByTurns() {
    if (order_ == ThreadOrder::kRandom) {
      for (size_t i = count_; i > 1; --i) std::swap(turn_[i - 1], turn_[random_() % i]);
    }
    for (size_t i = 0; i < count_; ++i) {
      Thread& thread = threads_[turn_[i]];
      if (thread.state == State::kReady) Enter(thread);
    }
    bool moved = false;
    for (size_t first = 0; first < count_; first += kWarp) moved |= Advance(first);
    return moved;
  }
  bool RunByWarps() {
    const size_t warps = (count_ + kWarp - 1) / kWarp;
    for (size_t i = 0; i < warps; ++i) {
      const size_t first = kWarp * (order_ == ThreadOrder::kWarpForward ? i : warps - 1 - i);
      do {
        for (size_t k = first; k < std::min(first + kWarp, count_); ++k) {
          if (threads_[k].state == State::kReady) Enter(threads_[k]);
        }
      } while (Advance(first));
    }
    return false;
  }

  bool Advance(size_t first) {
    return ReleaseWarp(threads_ + first, static_cast<int>(std::min<size_t>(kWarp, count_ - first)));
  }
  size_t CountOf(State state) const {
    size_t n = 0;
    for (size_t i = 0; i < count_; ++i) n += threads_[i].state == state;
    return n;
  }
  // Names a thread that did not arrive at the barrier where others wait.
  [[noreturn]] void FailStuck() const {
    const bool barrier = CountOf(State::kAtBlock) > 0;
    for (const State state : {State::kAtWarp, State::kDone}) {
      for (size_t i = 0; i < count_; ++i) {
        if (threads_[i].state != state) continue;
        ThrowFault(barrier ? "__syncthreads is not reached by every thread of the block"
                           : "a warp operation never completes",
                   threads_[i]);
      }
    }
    ThrowFault("the block never ends", threads_[0]);
  }

  ThreadOrder order_;
  std::mt19937& random_;
  Thread* threads_;
  size_t count_;
  std::unique_ptr<unsigned[]> turn_;  // null: by warps
};

// Threads and their stacks, kept from kernel to kernel.
class Crew {
 public:
  // Makes `count` threads.
  void Muster(size_t count) {
    if (count > count_) {
      threads_ = std::make_unique<Thread[]>(count);
      count_ = count;
      stacks_ = std::make_unique<Stacks>(count);
    }
    kernel.threads = threads_.get();
    kernel.count = count;
  }
  // Lets them begin a block.
  void Prepare(dim3 size) {
    for (unsigned i = 0; i < kernel.count; ++i) {
      Thread& thread = threads_[i];
      thread.index = {i % size.x, i / size.x % size.y, i / size.x / size.y};
      thread.state = State::kReady;
      thread.copies.clear();
      thread.first_copy = 0;
      thread.commits = 0;
      thread.barriers = thread.fences = 0;
      thread.fiber.Prepare(stacks_->stack(i), Stacks::kBytes, &RunThread);
    }
  }
  // After threads were left where they were.
  void Abandon() {
    for (size_t i = 0; i < kernel.count; ++i) threads_[i].fiber.Abandon();
  }

 private:
  std::unique_ptr<Thread[]> threads_;
  size_t count_ = 0;
  std::unique_ptr<Stacks> stacks_;
};

thread_local Crew crew;

// Runs every block, in the order of `order`.
void RunBlocks(const Grid& grid, ThreadOrder order, std::mt19937& random) {
  // Under the thread sanitizer, blocks have shared memory of their own until the kernel ends, and
  // nothing orders them but that thread i of one follows thread i of the one before: what a block
  // does after its last barrier races with what another does to the same memory.
  std::vector<std::unique_ptr<SharedMemoryBytes>> shared;
  const uint64_t count = uint64_t{grid.blocks.x} * grid.blocks.y * grid.blocks.z;
  std::vector<uint64_t> blocks(count);
  for (uint64_t i = 0; i < count; ++i) {
    const bool backward = order == ThreadOrder::kReverse || order == ThreadOrder::kWarpBackward;
    blocks[i] = backward ? count - 1 - i : i;
  }
  if (order == ThreadOrder::kRandom) std::shuffle(blocks.begin(), blocks.end(), random);
  blockDim = grid.threads;
  gridDim = grid.blocks;
  for (const uint64_t i : blocks) {
    blockIdx = {static_cast<unsigned>(i % grid.blocks.x),
                static_cast<unsigned>(i / grid.blocks.x % grid.blocks.y),
                static_cast<unsigned>(i / grid.blocks.x / grid.blocks.y)};
    if (shared.empty() || kThreadSanitizer) {
      shared.push_back(std::make_unique<SharedMemoryBytes>(grid.shared_bytes));
    } else {
      shared.back()->Poison();
    }
    kernel.shared = shared.back()->data();
    kernel.keys = shared.back()->keys();
    crew.Prepare(grid.threads);
    Release(&launch_keys.start);
    Block(order, random).Run();
    if (!shared.back()->Check()) {
      ThrowFault("wrote before or past the end of shared memory", kernel.threads[0]);
    }
  }
  Acquire(&launch_keys.finish);
}

}  // namespace

void ThrowFault(const char* why, const Thread& thread) {
  throw Fault("device fault: " + std::string(why) + " (" + Text("block", blockIdx) + ", " +
              Text("thread", thread.index) + ")");
}

cudaError_t CheckGrid(const Grid& grid) {
  const dim3 &b = grid.blocks, &t = grid.threads;
  if (b.x == 0 || b.y == 0 || b.z == 0 || t.x == 0 || t.y == 0 || t.z == 0 || b.x > 0x7fffffffu ||
      b.y > 65535 || b.z > 65535 || t.z > 64 || t.x > kThreadsPerBlock || t.y > kThreadsPerBlock ||
      uint64_t{t.x} * t.y * t.z > kThreadsPerBlock) {
    return cudaErrorInvalidConfiguration;
  }
  return grid.shared_bytes > kSharedBytesPerBlock ? cudaErrorInvalidValue : cudaSuccess;
}

int64_t RunGrid(const Grid& grid, ThreadOrder order, TensorCore tensor_core, std::mt19937& random,
                void (*body)(void*), void* argument) {
  kernel = Kernel{};
  kernel.grid = &grid;
  kernel.tensor_core = tensor_core;
  kernel.body = body;
  kernel.argument = argument;
  crew.Muster(size_t{grid.threads.x} * grid.threads.y * grid.threads.z);
  try {
    RunBlocks(grid, order, random);
  } catch (...) {
    crew.Abandon();
    throw;
  }
  return kernel.bank_conflicts;
}

}  // namespace longrope::stand_in
