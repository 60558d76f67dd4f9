// Allocations of devices and pinned host memory.
#pragma once

#include <cuda_runtime_api.h>

#include <cstddef>
#include <cstdint>
#include <map>
#include <mutex>
#include <string>
#include <vector>

#include "tests/cuda/stand_in/stand_in.h"

namespace longrope::stand_in {

// Blocks of memory of exactly the bytes asked for, filled with 0xff and between guards.
// Thread-safe. Under the address sanitizer device memory may be touched only while its device is
// open.
class Memory {
 public:
  static constexpr int kPinned = -1;  // as a device number

  Memory(const std::vector<size_t>& device_bytes, size_t pinned_bytes);
  ~Memory();
  Memory(const Memory&) = delete;
  Memory& operator=(const Memory&) = delete;

  // On a boundary of 256 bytes; null if it does not fit.
  void* Allocate(int device, size_t bytes);
  // False if no allocation of the device begins there.
  bool Free(int device, void* begin);
  bool BeginsAt(int device, const void* begin) const;
  // Whose allocation holds all of [begin, begin + bytes), or kNowhere.
  static constexpr int kNowhere = -2;
  int OwnerOf(const void* begin, size_t bytes) const;
  // Whose allocation holds a byte of it. Pageable memory is nobody's.
  bool Touches(const void* begin, size_t bytes) const;

  size_t Total(int device) const;
  MemoryUse Use(int device) const;
  void ResetPeaks();
  std::vector<std::string> Overruns() const;

  // Between the two, device code may run.
  void Open(int device);
  void Close(int device);

 private:
  struct Allocation {
    int device;
    size_t bytes;
    unsigned char* base;  // of the front guard
  };
  struct Pool {
    size_t total = 0;
    MemoryUse use;
    int open = 0;
  };
  // The holder of the byte, or null. Under the lock.
  const std::pair<const uintptr_t, Allocation>* Find(const void* byte) const;
  // What is wrong with the guards, or "". Under the lock.
  std::string Inspect(uintptr_t begin, const Allocation& allocation) const;
  Pool& pool(int device) { return pools_[device + 1]; }
  const Pool& pool(int device) const { return pools_[device + 1]; }

  mutable std::mutex mutex_;
  std::vector<Pool> pools_;  // pinned memory, then the devices
  std::map<uintptr_t, Allocation> allocations_;
  std::vector<std::string> overruns_;  // of what has been freed
};

}  // namespace longrope::stand_in
