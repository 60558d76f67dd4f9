#include "tests/cuda/stand_in/memory.h"

#include <algorithm>
#include <cstring>
#include <new>

#include "tests/cuda/stand_in/sanitizers.h"

namespace longrope::stand_in {
namespace {

constexpr size_t kAlignment = 256, kGuard = 256;
constexpr unsigned char kGuardByte = 0xfe;  // as bf16 and f32: -1.7e38

// The tables' own lock, which the thread sanitizer does not see.
class Lock {
 public:
  explicit Lock(std::mutex& mutex) : lock_(mutex) {}

 private:
  Unwatched unwatched_;
  std::lock_guard<std::mutex> lock_;
};

}  // namespace

Memory::Memory(const std::vector<size_t>& device_bytes, size_t pinned_bytes) {
  pools_.resize(device_bytes.size() + 1);
  pool(kPinned).total = pinned_bytes;
  for (size_t i = 0; i < device_bytes.size(); ++i) pools_[i + 1].total = device_bytes[i];
}

Memory::~Memory() {
  while (!allocations_.empty()) {
    const auto& [begin, allocation] = *allocations_.begin();
    Free(allocation.device, reinterpret_cast<void*>(begin));
  }
}

void* Memory::Allocate(int device, size_t bytes) {
  const Lock lock(mutex_);
  Pool& owner = pool(device);
  if (bytes > owner.total - owner.use.current) return nullptr;
  auto* base = static_cast<unsigned char*>(operator new (
      bytes + 2 * kGuard, std::align_val_t{kAlignment}, std::nothrow));
  if (base == nullptr) return nullptr;
  unsigned char* begin = base + kGuard;
  std::memset(base, kGuardByte, kGuard);
  std::memset(begin, 0xff, bytes);
  std::memset(begin + bytes, kGuardByte, kGuard);
  Forbid(base, kGuard);
  Forbid(begin + bytes, kGuard);
  if (device != kPinned && owner.open == 0) Forbid(begin, bytes);
  owner.use.current += bytes;
  owner.use.peak = std::max(owner.use.peak, owner.use.current);
  allocations_[reinterpret_cast<uintptr_t>(begin)] = {device, bytes, base};
  return begin;
}

bool Memory::Free(int device, void* begin) {
  const Lock lock(mutex_);
  const auto at = allocations_.find(reinterpret_cast<uintptr_t>(begin));
  if (at == allocations_.end() || at->second.device != device) return false;
  const Allocation allocation = at->second;
  std::string overrun = Inspect(at->first, allocation);
  if (!overrun.empty()) overruns_.push_back(std::move(overrun));
  pool(device).use.current -= allocation.bytes;
  allocations_.erase(at);
  Permit(allocation.base, allocation.bytes + 2 * kGuard);
  operator delete (allocation.base, std::align_val_t{kAlignment});
  return true;
}

bool Memory::BeginsAt(int device, const void* begin) const {
  const Lock lock(mutex_);
  const auto at = allocations_.find(reinterpret_cast<uintptr_t>(begin));
  return at != allocations_.end() && at->second.device == device;
}

const std::pair<const uintptr_t, Memory::Allocation>* Memory::Find(const void* byte) const {
  const auto address = reinterpret_cast<uintptr_t>(byte);
  auto at = allocations_.upper_bound(address);
  if (at == allocations_.begin()) return nullptr;
  --at;
  return address <= at->first + at->second.bytes ? &*at : nullptr;
}

int Memory::OwnerOf(const void* begin, size_t bytes) const {
  const Lock lock(mutex_);
  const auto* holder = Find(begin);
  if (holder == nullptr) return kNowhere;
  const size_t offset = reinterpret_cast<uintptr_t>(begin) - holder->first;
  return bytes <= holder->second.bytes - offset ? holder->second.device : kNowhere;
}

bool Memory::Touches(const void* begin, size_t bytes) const {
  const Lock lock(mutex_);
  const auto address = reinterpret_cast<uintptr_t>(begin);
  auto at = allocations_.lower_bound(address + bytes);
  if (at == allocations_.begin()) return false;
  --at;
  return address < at->first + at->second.bytes;
}

size_t Memory::Total(int device) const { return pool(device).total; }

MemoryUse Memory::Use(int device) const {
  const Lock lock(mutex_);
  return pool(device).use;
}

void Memory::ResetPeaks() {
  const Lock lock(mutex_);
  for (Pool& each : pools_) each.use.peak = each.use.current;
}

std::string Memory::Inspect(uintptr_t begin, const Allocation& allocation) const {
  const unsigned char* end = allocation.base + kGuard + allocation.bytes;
  Permit(allocation.base, kGuard);
  Permit(end, kGuard);
  const auto written = [](const unsigned char* guard) {
    return std::count_if(guard, guard + kGuard, [](unsigned char b) { return b != kGuardByte; });
  };
  const auto before = written(allocation.base), after = written(end);
  Forbid(allocation.base, kGuard);
  Forbid(end, kGuard);
  if (before == 0 && after == 0) return "";
  return std::to_string(before) + " bytes before and " + std::to_string(after) +
         " bytes after an allocation of " + std::to_string(allocation.bytes) + " bytes on " +
         (allocation.device == kPinned ? "the host"
                                       : "device " + std::to_string(allocation.device)) +
         " at " + std::to_string(begin) + " were written";
}

std::vector<std::string> Memory::Overruns() const {
  const Lock lock(mutex_);
  std::vector<std::string> all = overruns_;
  for (const auto& [begin, allocation] : allocations_) {
    std::string overrun = Inspect(begin, allocation);
    if (!overrun.empty()) all.push_back(std::move(overrun));
  }
  return all;
}

void Memory::Open(int device) {
  const Lock lock(mutex_);
  if (pool(device).open++ > 0 || !kAddressSanitizer) return;
  for (const auto& [begin, allocation] : allocations_) {
    if (allocation.device == device) Permit(reinterpret_cast<void*>(begin), allocation.bytes);
  }
}

void Memory::Close(int device) {
  const Lock lock(mutex_);
  if (--pool(device).open > 0 || !kAddressSanitizer) return;
  for (const auto& [begin, allocation] : allocations_) {
    if (allocation.device == device) Forbid(reinterpret_cast<void*>(begin), allocation.bytes);
  }
}

}  // namespace longrope::stand_in
