// Owners of device memory, page-locked host memory, streams and events. All belong to the device
// that was in use when they were made, and are given back to it whichever is in use then; they may
// be destroyed after it was lost.
#pragma once

#include <cublas_v2.h>
#include <cuda_runtime_api.h>

#include <cstdint>
#include <memory>
#include <string>

#include "kernels/cuda/check.h"

namespace longrope::cuda {

// Makes a device the one that this thread's calls are for.
void UseDevice(int device);

// The device that is in use; throws DeviceError.
int DeviceInUse();

// While it lives, a device is in use; then the one before again, unless that is lost. Throws
// nothing: on a lost device what is called meanwhile fails.
class OnDevice {
 public:
  explicit OnDevice(int device) {
    cudaGetDevice(&before_);
    cudaSetDevice(device);
  }
  ~OnDevice() { cudaSetDevice(before_); }
  OnDevice(const OnDevice&) = delete;
  OnDevice& operator=(const OnDevice&) = delete;

 private:
  int before_ = 0;
};

struct FreeDevice {
  int device = 0;
  void operator()(void* memory) const {
    const OnDevice on(device);
    cudaFree(memory);
  }
};
struct FreePinned {
  int device = 0;
  void operator()(void* memory) const {
    const OnDevice on(device);
    cudaFreeHost(memory);
  }
};

// `count` elements, not initialised. Throws DeviceError.
template <class T>
class DeviceArray {
 public:
  DeviceArray() = default;
  explicit DeviceArray(int64_t count) {
    void* memory = nullptr;
    const size_t bytes = static_cast<size_t>(count) * sizeof(T);
    Check(cudaMalloc(&memory, bytes), ("cudaMalloc of " + std::to_string(bytes) + " bytes").c_str(),
          __FILE__, __LINE__);
    data_ = {static_cast<T*>(memory), {DeviceInUse()}};
  }
  T* get() const { return data_.get(); }

 private:
  std::unique_ptr<T, FreeDevice> data_;
};

template <class T>
class PinnedArray {
 public:
  PinnedArray() = default;
  explicit PinnedArray(int64_t count) {
    void* memory = nullptr;
    const size_t bytes = static_cast<size_t>(count) * sizeof(T);
    Check(cudaMallocHost(&memory, bytes),
          ("cudaMallocHost of " + std::to_string(bytes) + " bytes").c_str(), __FILE__, __LINE__);
    data_ = {static_cast<T*>(memory), {DeviceInUse()}};
  }
  T* get() const { return data_.get(); }

 private:
  std::unique_ptr<T, FreePinned> data_;
};

// Work in order, beside that of other streams.
class Stream {
 public:
  Stream() { LONGROPE_CUDA_CHECK(cudaStreamCreateWithFlags(&stream_, cudaStreamNonBlocking)); }
  ~Stream() {
    const OnDevice on(device_);
    cudaStreamDestroy(stream_);
  }
  Stream(const Stream&) = delete;
  Stream& operator=(const Stream&) = delete;

  cudaStream_t get() const { return stream_; }
  // Waits for all of it; failures of what was started before come out here.
  void Wait() const { LONGROPE_CUDA_CHECK(cudaStreamSynchronize(stream_)); }

 private:
  int device_ = DeviceInUse();
  cudaStream_t stream_ = nullptr;
};

// A point in a stream that others wait for.
class Event {
 public:
  Event() { LONGROPE_CUDA_CHECK(cudaEventCreateWithFlags(&event_, cudaEventDisableTiming)); }
  ~Event() {
    const OnDevice on(device_);
    cudaEventDestroy(event_);
  }
  Event(const Event&) = delete;
  Event& operator=(const Event&) = delete;

  void Record(const Stream& stream) { LONGROPE_CUDA_CHECK(cudaEventRecord(event_, stream.get())); }
  // Of the host. Returns at once if nothing was recorded yet, as do streams.
  void Wait() const { LONGROPE_CUDA_CHECK(cudaEventSynchronize(event_)); }
  void LetWait(const Stream& stream) const {
    LONGROPE_CUDA_CHECK(cudaStreamWaitEvent(stream.get(), event_, 0));
  }

 private:
  int device_ = DeviceInUse();
  cudaEvent_t event_ = nullptr;
};

// Copies `count` elements from any memory of the host. They are there when it returns: cudaMemcpy
// alone may return while the last part is on its way, and streams that do not block would not wait
// for it.
template <class T>
void Upload(T* to, const T* from, int64_t count) {
  LONGROPE_CUDA_CHECK(
      cudaMemcpy(to, from, static_cast<size_t>(count) * sizeof(T), cudaMemcpyHostToDevice));
  LONGROPE_CUDA_CHECK(cudaStreamSynchronize(nullptr));
}

// Copies `count` elements in the order of a stream; one side at least is on the device, and the
// other there too or page-locked.
template <class T>
void CopyAsync(T* to, const T* from, int64_t count, const Stream& stream) {
  LONGROPE_CUDA_CHECK(cudaMemcpyAsync(to, from, static_cast<size_t>(count) * sizeof(T),
                                      cudaMemcpyDefault, stream.get()));
}

}  // namespace longrope::cuda
