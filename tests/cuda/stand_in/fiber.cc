#include "tests/cuda/stand_in/fiber.h"

#include <sys/mman.h>

#include <cstdint>
#include <new>

#include "tests/cuda/stand_in/sanitizers.h"

#ifndef __x86_64__
#error "the switch between fibers is written for x86-64"
#endif

// Saves the registers that a callee must keep on the stack and the stack pointer in *save; goes on
// where the stack `to` was left in the same way. In contrast to swapcontext and longjmp no
// sanitizer intercepts it, and the signal mask stays alone.
extern "C" void longrope_stand_in_switch(void** save, void* to);
asm(R"(
.text
.type longrope_stand_in_switch, @function
longrope_stand_in_switch:
  pushq %rbp
  pushq %rbx
  pushq %r12
  pushq %r13
  pushq %r14
  pushq %r15
  movq %rsp, (%rdi)
  movq %rsi, %rsp
  popq %r15
  popq %r14
  popq %r13
  popq %r12
  popq %rbx
  popq %rbp
  ret
.size longrope_stand_in_switch, .-longrope_stand_in_switch
)");

namespace longrope::stand_in {
namespace {

// Where Enter() was called.
struct Home {
  void* stack_pointer = nullptr;
  [[maybe_unused]] void* thread_sanitizer = nullptr;
  [[maybe_unused]] const void* stack = nullptr;
  [[maybe_unused]] size_t bytes = 0;
};
constinit thread_local Home home;
using Entry = void (*)();
constinit thread_local Entry pending_entry = nullptr;  // the same for all fibers of a thread

// First function on a new stack.
void Begin() {
#ifdef LONGROPE_STAND_IN_ASAN
  __sanitizer_finish_switch_fiber(nullptr, &home.stack, &home.bytes);
#endif
  pending_entry();
  __builtin_trap();  // entry() must leave for good
}

}  // namespace

void Fiber::Prepare(unsigned char* stack, size_t bytes, void (*entry)()) {
  stack_ = stack;
  bytes_ = bytes;
  fake_stack_ = nullptr;
  pending_entry = entry;
  // As the switch leaves a stack: six registers, a return address; then the stack pointer is, as a
  // function expects it, 8 below a multiple of 16.
  auto* top = reinterpret_cast<uintptr_t*>(stack + bytes) - 1;
  *--top = reinterpret_cast<uintptr_t>(&Begin);
  for (int i = 0; i < 6; ++i) *--top = 0;
  top[7] = 0;  // the return address of Begin: where a stack trace ends
  stack_pointer_ = top;
#ifdef LONGROPE_STAND_IN_TSAN
  if (thread_sanitizer_ == nullptr) thread_sanitizer_ = __tsan_create_fiber(0);
#endif
}

void Fiber::Enter() {
#ifdef LONGROPE_STAND_IN_TSAN
  home.thread_sanitizer = __tsan_get_current_fiber();
  __tsan_switch_to_fiber(thread_sanitizer_, __tsan_switch_to_fiber_no_sync);
#endif
#ifdef LONGROPE_STAND_IN_ASAN
  void* fake_stack = nullptr;
  __sanitizer_start_switch_fiber(&fake_stack, stack_, bytes_);
#endif
  longrope_stand_in_switch(&home.stack_pointer, stack_pointer_);
#ifdef LONGROPE_STAND_IN_ASAN
  __sanitizer_finish_switch_fiber(fake_stack, nullptr, nullptr);
#endif
}

void Fiber::Leave([[maybe_unused]] bool for_good) {
#ifdef LONGROPE_STAND_IN_TSAN
  __tsan_switch_to_fiber(home.thread_sanitizer, __tsan_switch_to_fiber_no_sync);
#endif
#ifdef LONGROPE_STAND_IN_ASAN
  __sanitizer_start_switch_fiber(for_good ? nullptr : &fake_stack_, home.stack, home.bytes);
#endif
  longrope_stand_in_switch(&stack_pointer_, home.stack_pointer);
#ifdef LONGROPE_STAND_IN_ASAN
  __sanitizer_finish_switch_fiber(fake_stack_, &home.stack, &home.bytes);
#endif
}

Fiber::~Fiber() {
#ifdef LONGROPE_STAND_IN_TSAN
  if (thread_sanitizer_ == nullptr) return;
  Abandon();
  __tsan_destroy_fiber(thread_sanitizer_);
#endif
}

void Fiber::Abandon() {
#ifdef LONGROPE_STAND_IN_TSAN
  // Nothing but the sanitizer switches here; 0: in order.
  void* caller = __tsan_get_current_fiber();
  __tsan_switch_to_fiber(thread_sanitizer_, __tsan_switch_to_fiber_no_sync);
  __tsan_switch_to_fiber(caller, 0);
#endif
  Permit(stack_, bytes_);  // marks of its frames
}

Stacks::Stacks(size_t count) : count_(count) {
  void* memory = mmap(nullptr, count * (kGuard + kBytes), PROT_READ | PROT_WRITE,
                      MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  if (memory == MAP_FAILED) throw std::bad_alloc();
  memory_ = static_cast<unsigned char*>(memory);
  for (size_t i = 0; i < count; ++i) mprotect(stack(i) - kGuard, kGuard, PROT_NONE);
}

Stacks::~Stacks() { munmap(memory_, count_ * (kGuard + kBytes)); }

}  // namespace longrope::stand_in
