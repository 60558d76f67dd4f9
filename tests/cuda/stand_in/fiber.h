// Several stacks of execution on one OS thread, which takes turns.
#pragma once

#include <cstddef>

namespace longrope::stand_in {

// One of them. Everything is called by the OS thread that the fiber was prepared on.
class Fiber {
 public:
  Fiber() = default;
  ~Fiber();
  Fiber(const Fiber&) = delete;
  Fiber& operator=(const Fiber&) = delete;

  // The next Enter() calls entry(), which ends in Leave(true). The stack is the fiber's until then,
  // or until the fiber is abandoned.
  // In the eyes of the thread sanitizer it is the same thread as before: new ones take it long.
  void Prepare(unsigned char* stack, size_t bytes, void (*entry)());
  // From outside of any fiber: goes on in this one until it leaves. Orders no memory in the eyes of
  // the thread sanitizer.
  void Enter();
  // From inside: back to the caller of Enter(). `for_good`: there will be no other Enter().
  void Leave(bool for_good);
  // Forgets what a prepared fiber was at, without unwinding. All that it did comes before what the
  // caller does next. It may be prepared anew.
  void Abandon();

 private:
  void* stack_pointer_ = nullptr;
  const unsigned char* stack_ = nullptr;
  size_t bytes_ = 0;
  void* thread_sanitizer_ = nullptr;
  void* fake_stack_ = nullptr;  // of the address sanitizer
};

// Stacks with an inaccessible page below each, so that an overflow ends the process at once.
class Stacks {
 public:
  static constexpr size_t kBytes = 128 << 10;

  // Throws std::bad_alloc.
  explicit Stacks(size_t count);
  ~Stacks();
  Stacks(const Stacks&) = delete;
  Stacks& operator=(const Stacks&) = delete;

  unsigned char* stack(size_t i) const { return memory_ + i * (kGuard + kBytes) + kGuard; }

 private:
  static constexpr size_t kGuard = 4096;

  size_t count_;
  unsigned char* memory_;
};

}  // namespace longrope::stand_in
