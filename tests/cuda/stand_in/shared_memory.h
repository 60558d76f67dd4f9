// The dynamic shared memory of a block.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstring>
#include <memory>
#include <new>

#include "tests/cuda/stand_in/sanitizers.h"
#include "tests/cuda/stand_in/thread.h"

namespace longrope::stand_in {

// Shared memory of exactly the bytes asked for, poisoned; beside it, guards.
class SharedMemoryBytes {
 public:
  explicit SharedMemoryBytes(size_t bytes)
      : bytes_(bytes),
        memory_(static_cast<unsigned char*>(operator new[](bytes + 2 * kGuard,
                                                           std::align_val_t{kAlignment}))) {
    Poison();
  }
  void Poison() {
    Check();
    std::memset(memory_.get(), kGuardByte, kGuard);
    std::memset(data(), 0xff, bytes_);
    std::memset(data() + bytes_, kGuardByte, kGuard);
    fresh_ = false;
  }
  // False if a guard was written to.
  bool Check() const {
    if (fresh_) return true;
    const auto intact = [](unsigned char byte) { return byte == kGuardByte; };
    return std::all_of(memory_.get(), memory_.get() + kGuard, intact) &&
           std::all_of(data() + bytes_, data() + bytes_ + kGuard, intact);
  }
  unsigned char* data() const { return memory_.get() + kGuard; }
  BlockKeys* keys() { return &keys_; }

 private:
  static constexpr size_t kAlignment = 128;
  // The address sanitizer has its own.
  static constexpr size_t kGuard = kAddressSanitizer ? 0 : 128;
  static constexpr unsigned char kGuardByte = 0xfe;  // as bf16 and f32: -1.7e38

  struct Free {
    void operator()(unsigned char* p) const {
      const Unwatched unwatched;  // threads that a fault left behind may have written to it
      operator delete[](p, std::align_val_t{kAlignment});
    }
  };
  size_t bytes_;
  bool fresh_ = true;
  BlockKeys keys_{};
  std::unique_ptr<unsigned char[], Free> memory_;
};

}  // namespace longrope::stand_in
