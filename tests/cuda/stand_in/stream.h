// Streams of a device as queues whose work runs when somebody waits for it.
#pragma once

#include <cuda_runtime_api.h>

#include <atomic>
#include <cstdint>
#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <random>
#include <vector>

#include "tests/cuda/stand_in/block.h"
#include "tests/cuda/stand_in/memory.h"

namespace longrope::stand_in {

class Device;

// Operations in order. Operation number n of a stream is the nth that it was given.
struct Stream {
  struct Operation {
    std::function<void()> run;      // empty: a wait
    std::shared_ptr<Stream> other;  // the wait is for operation `number` of this one
    uint64_t number = 0;
  };
  Device* device = nullptr;
  bool blocking = false;  // ordered with the default stream
  std::deque<Operation> queue;
  uint64_t enqueued = 0, executed = 0;
};

// A place in a stream. `seconds` is when it was reached, once it is.
struct Mark {
  std::shared_ptr<Stream> stream;
  uint64_t number = 0;
  std::shared_ptr<double> seconds;
};

// What all devices of a machine share.
struct Conduct {
  std::atomic<ThreadOrder> threads;
  std::atomic<StreamOrder> streams;
  TensorCore tensor_core;
  ProductSums product_sums;
};

// One device: its streams and what runs on them. Thread-safe; work runs in the thread that waits,
// which keeps others that use the same device out.
class Device {
 public:
  Device(int index, const Conduct& conduct, Memory& memory, uint32_t seed);

  int index() const { return index_; }
  const Conduct& conduct() const { return conduct_; }

  std::shared_ptr<Stream> default_stream() const { return default_stream_; }
  std::shared_ptr<Stream> AddStream(bool blocking);

  // Queues work, or a wait for an earlier place in a stream of this device.
  Mark Enqueue(const std::shared_ptr<Stream>& stream, std::function<void()> run);
  void EnqueueWait(const std::shared_ptr<Stream>& stream, const Mark& mark);

  // Run what the stream was given up to `mark`, or all of a stream or the device. Answer what the
  // device is lost with, or cudaSuccess. Throw Fault; then all that was pending is dropped.
  cudaError_t Wait(const Mark& mark);
  cudaError_t Wait(const std::shared_ptr<Stream>& stream);
  cudaError_t WaitForAll();
  bool Reached(const Mark& mark);

  // For work, while it runs.
  void RunKernel(const Grid& grid, const std::function<void()>& thread);
  void CountProduct();

  cudaError_t lost() const { return lost_; }
  void LoseAfter(int64_t count, cudaError_t error);
  void Reseed(uint32_t seed);
  DeviceCounts counts();

  // Bytes of dynamic shared memory that a kernel was given leave to use.
  void AllowShared(const void* kernel, size_t bytes);
  size_t AllowedShared(const void* kernel);

 private:
  struct Lost {};  // thrown by the work that the device is lost in

  // The rest is called under the lock.
  template <class Loop>
  cudaError_t Run(const Loop& loop);
  void RunUpTo(Stream& stream, uint64_t number);
  void RunNext(Stream& stream);
  // What keeps the stream from its next operation, or null.
  static const Stream::Operation* Obstacle(const Stream& stream);
  std::vector<Stream*> Ready() const;
  void DropAll();
  void CountWork();

  const int index_;
  const Conduct& conduct_;
  Memory& memory_;
  std::mutex mutex_;
  std::mt19937 random_;
  std::shared_ptr<Stream> default_stream_;
  std::vector<std::shared_ptr<Stream>> streams_;
  DeviceCounts counts_;
  int64_t work_left_ = -1;  // until the device is lost; negative: it stays
  cudaError_t loss_ = cudaErrorLaunchFailure;
  std::atomic<cudaError_t> lost_ = cudaSuccess;
  std::map<const void*, size_t> allowed_shared_;
};

}  // namespace longrope::stand_in
