// The runtime's functions on memory.
#include <cuda_runtime_api.h>

#include <cstring>
#include <utility>
#include <vector>

#include "tests/cuda/stand_in/machine.h"

namespace longrope::stand_in {
namespace {

cudaError_t Allocate(int device, void** memory, size_t bytes) {
  Machine& machine = TheMachine();
  *memory = nullptr;
  if (machine.NextAllocationFails()) return cudaErrorMemoryAllocation;
  if (bytes == 0) return cudaSuccess;
  *memory = machine.memory.Allocate(device, bytes);
  return *memory != nullptr ? cudaSuccess : cudaErrorMemoryAllocation;
}

// One end of a copy: `height` rows of `width` bytes, `pitch` apart.
struct End {
  unsigned char* begin;
  size_t pitch;
};

struct CopyShape {
  size_t width, height;
  size_t Span(const End& end) const { return (height - 1) * end.pitch + width; }
};

void MoveRows(const End& to, const End& from, const CopyShape& shape) {
  for (size_t row = 0; row < shape.height; ++row) {
    std::memmove(to.begin + row * to.pitch, from.begin + row * from.pitch, shape.width);
  }
}

enum class Place { kDevice, kPinned, kPageable, kNowhere };

// kNowhere: partly in an allocation, or in one of another device.
Place PlaceOf(const End& end, const CopyShape& shape, int device) {
  const Memory& memory = TheMachine().memory;
  const int owner = memory.OwnerOf(end.begin, shape.Span(end));
  if (owner == device) return Place::kDevice;
  if (owner == Memory::kPinned) return Place::kPinned;
  return memory.Touches(end.begin, shape.Span(end)) ? Place::kNowhere : Place::kPageable;
}

bool Fits(cudaMemcpyKind kind, bool from_device, bool to_device) {
  switch (kind) {
    case cudaMemcpyHostToHost:
      return !from_device && !to_device;
    case cudaMemcpyHostToDevice:
      return !from_device && to_device;
    case cudaMemcpyDeviceToHost:
      return from_device && !to_device;
    case cudaMemcpyDeviceToDevice:
      return from_device && to_device;
    default:
      return true;
  }
}

void CheckStillPinned(const End& end, const CopyShape& shape) {
  if (TheMachine().memory.OwnerOf(end.begin, shape.Span(end)) != Memory::kPinned) {
    throw Fault("pinned memory was freed before the copy that uses it had run");
  }
}

// `wait`: the caller wants it done on return.
cudaError_t CopyRows(const End& to, const End& from, const CopyShape& shape, cudaMemcpyKind kind,
                     cudaStream_t handle, bool wait) {
  const std::shared_ptr<Stream> stream = StreamOf(handle);
  if (stream == nullptr) return cudaErrorInvalidResourceHandle;
  if (shape.width == 0 || shape.height == 0) return cudaSuccess;
  if (shape.height > 1 && (to.pitch < shape.width || from.pitch < shape.width)) {
    return cudaErrorInvalidPitchValue;
  }
  Device& device = *stream->device;
  const Place source = PlaceOf(from, shape, device.index());
  const Place target = PlaceOf(to, shape, device.index());
  if (source == Place::kNowhere || target == Place::kNowhere) return cudaErrorInvalidValue;
  if (!Fits(kind, source == Place::kDevice, target == Place::kDevice)) {
    return cudaErrorInvalidMemcpyDirection;
  }
  Mark mark;
  if (source == Place::kPageable) {  // is read now
    std::vector<unsigned char> rows(shape.width * shape.height);
    MoveRows({rows.data(), shape.width}, from, shape);
    mark = device.Enqueue(stream, [to, shape, target, rows = std::move(rows)]() mutable {
      if (target == Place::kPinned) CheckStillPinned(to, shape);
      MoveRows(to, {rows.data(), shape.width}, shape);
    });
  } else {
    mark = device.Enqueue(stream, [to, from, shape, source, target] {
      if (source == Place::kPinned) CheckStillPinned(from, shape);
      if (target == Place::kPinned) CheckStillPinned(to, shape);
      MoveRows(to, from, shape);
    });
  }
  return wait || target == Place::kPageable ? device.Wait(mark) : cudaSuccess;
}

End At(const void* begin, size_t pitch) {
  return {static_cast<unsigned char*>(const_cast<void*>(begin)), pitch};
}

// Frees on the way out, also when what ran before did not end well.
class FreeAtEnd {
 public:
  FreeAtEnd(int device, void* memory) : device_(device), memory_(memory) {}
  ~FreeAtEnd() { TheMachine().memory.Free(device_, memory_); }
  FreeAtEnd(const FreeAtEnd&) = delete;
  FreeAtEnd& operator=(const FreeAtEnd&) = delete;

 private:
  int device_;
  void* memory_;
};

}  // namespace

bool Machine::NextAllocationFails() { return ++allocations == failing_allocation; }

}  // namespace longrope::stand_in

using namespace longrope::stand_in;

extern "C" {

cudaError_t cudaMalloc(void** memory, size_t bytes) {
  return Answer([&] { return Allocate(CurrentDevice().index(), memory, bytes); });
}

cudaError_t cudaMallocHost(void** memory, size_t bytes) {
  return Answer([&] { return Allocate(Memory::kPinned, memory, bytes); });
}

cudaError_t cudaHostAlloc(void** memory, size_t bytes, unsigned int) {
  return Answer([&] { return Allocate(Memory::kPinned, memory, bytes); });
}

cudaError_t cudaFree(void* memory) {
  if (DriverError() != cudaSuccess) return SetLastError(DriverError());
  if (memory == nullptr) return SetLastError(CurrentDevice().lost());
  Machine& machine = TheMachine();
  const int owner = machine.memory.OwnerOf(memory, 0);
  if (owner < 0) return SetLastError(cudaErrorInvalidValue);
  // A lost device in use answers nothing, whose memory it may be. That it loses its own is no leak.
  const cudaError_t lost = CurrentDevice().lost();
  if (lost != cudaSuccess && owner != CurrentDevice().index()) return SetLastError(lost);
  if (!machine.memory.BeginsAt(owner, memory)) return SetLastError(cudaErrorInvalidValue);
  const FreeAtEnd free(owner, memory);
  return SetLastError(machine.devices[static_cast<size_t>(owner)]->WaitForAll());
}

cudaError_t cudaFreeHost(void* memory) {
  if (DriverError() != cudaSuccess) return SetLastError(DriverError());
  if (memory != nullptr && !TheMachine().memory.Free(Memory::kPinned, memory)) {
    return SetLastError(cudaErrorInvalidValue);
  }
  return SetLastError(CurrentDevice().lost());
}

cudaError_t cudaMemGetInfo(size_t* free, size_t* total) {
  return Answer([&] {
    const int device = CurrentDevice().index();
    *total = TheMachine().memory.Total(device);
    *free = *total - TheMachine().memory.Use(device).current;
    return cudaSuccess;
  });
}

cudaError_t cudaMemcpy(void* to, const void* from, size_t bytes, cudaMemcpyKind kind) {
  return Answer([&] {
    return CopyRows(At(to, bytes), At(from, bytes), {bytes, 1}, kind, nullptr, true);
  });
}

cudaError_t cudaMemcpyAsync(void* to, const void* from, size_t bytes, cudaMemcpyKind kind,
                            cudaStream_t stream) {
  return Answer([&] {
    return CopyRows(At(to, bytes), At(from, bytes), {bytes, 1}, kind, stream, false);
  });
}

cudaError_t cudaMemcpy2DAsync(void* to, size_t to_pitch, const void* from, size_t from_pitch,
                              size_t width, size_t height, cudaMemcpyKind kind,
                              cudaStream_t stream) {
  return Answer([&] {
    return CopyRows(At(to, to_pitch), At(from, from_pitch), {width, height}, kind, stream, false);
  });
}

cudaError_t cudaMemsetAsync(void* memory, int value, size_t bytes, cudaStream_t handle) {
  return Answer([&] {
    const std::shared_ptr<Stream> stream = StreamOf(handle);
    if (stream == nullptr) return cudaErrorInvalidResourceHandle;
    if (bytes == 0) return cudaSuccess;
    if (TheMachine().memory.OwnerOf(memory, bytes) != stream->device->index()) {
      return cudaErrorInvalidValue;
    }
    stream->device->Enqueue(stream, [=] { std::memset(memory, value, bytes); });
    return cudaSuccess;
  });
}

cudaError_t cudaMemset(void* memory, int value, size_t bytes) {
  return cudaMemsetAsync(memory, value, bytes, nullptr);
}

}  // extern "C"
