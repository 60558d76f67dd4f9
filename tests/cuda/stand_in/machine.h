// The made-up machine behind the runtime's functions, and what is common to these.
#pragma once

#include <cuda_runtime_api.h>

#include <atomic>
#include <memory>
#include <mutex>
#include <optional>
#include <set>
#include <vector>

#include "tests/cuda/stand_in/memory.h"
#include "tests/cuda/stand_in/sanitizers.h"
#include "tests/cuda/stand_in/stream.h"

namespace longrope::stand_in {

struct Event {
  int device = 0;
  bool timing = true;
  std::mutex mutex;
  Mark mark;  // of the latest record; without a stream: none yet
};

// Objects behind handles, so that a handle that is none is noticed.
template <class Object>
class HandleTable {
 public:
  void* Add(std::shared_ptr<Object> object) {
    const Unwatched unwatched;
    const std::lock_guard lock(mutex_);
    void* handle = object.get();
    objects_[handle] = std::move(object);
    return handle;
  }
  std::shared_ptr<Object> Find(const void* handle) {
    const Unwatched unwatched;
    const std::lock_guard lock(mutex_);
    const auto at = objects_.find(handle);
    return at == objects_.end() ? nullptr : at->second;
  }
  bool Remove(const void* handle) {
    const Unwatched unwatched;
    const std::lock_guard lock(mutex_);
    return objects_.erase(handle) > 0;
  }
  int64_t size() {
    const Unwatched unwatched;
    const std::lock_guard lock(mutex_);
    return static_cast<int64_t>(objects_.size());
  }

 private:
  std::mutex mutex_;
  std::map<const void*, std::shared_ptr<Object>> objects_;
};

struct BlasHandle;

struct Machine {
  explicit Machine(const Options& options);

  const Options options;
  Conduct conduct;
  Memory memory;
  std::vector<std::unique_ptr<Device>> devices;
  HandleTable<Stream> streams;
  HandleTable<Event> events;
  HandleTable<BlasHandle> blas_handles;
  std::atomic<int64_t> allocations = 0;
  std::atomic<int64_t> failing_allocation = 0;  // the number of the one that fails; 0: none

  // Counts one.
  bool NextAllocationFails();
};

Machine& TheMachine();

// Of the calling host thread.
Device& CurrentDevice();
cudaError_t SetLastError(cudaError_t error);

// The stream that the handle names on the current device's behalf; null if it names none.
std::shared_ptr<Stream> StreamOf(cudaStream_t handle);

// What every call is refused with: no driver, no device.
cudaError_t DriverError();

// Every function of the runtime: body() unless the driver or the current device is gone.
template <class Body>
cudaError_t Answer(const Body& body) {
  cudaError_t error = DriverError();
  if (error == cudaSuccess) error = CurrentDevice().lost();
  if (error == cudaSuccess) error = body();
  return SetLastError(error);
}

}  // namespace longrope::stand_in
