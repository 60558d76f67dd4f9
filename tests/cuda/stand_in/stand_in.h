// A machine with GPUs that tests make up: what it has, how it behaves, what went on in it.
//
// Kernels and the host code around them run unchanged on the CPU. Each CUDA thread is a fiber,
// blocks run one after another, and a stream's work runs when somebody waits for it, in the thread
// that waits. Misuse that the runtime cannot report throws Fault, out of the call that noticed.
// Host threads may use different devices at the same time, or one by turns.
#pragma once

#include <cuda_runtime_api.h>

#include <cstddef>
#include <cstdint>
#include <stdexcept>
#include <string>
#include <vector>

namespace longrope::stand_in {

// A mistake in a kernel or in a call, with block and thread where there are any.
class Fault : public std::runtime_error {
 public:
  using std::runtime_error::runtime_error;
};

// Which thread of a block runs next, and in which order blocks run.
enum class ThreadOrder {
  kForward,       // all threads by turns, each until it waits
  kReverse,       // likewise, last block and last thread first
  kRandom,        // likewise, shuffled before every turn
  kWarpForward,   // a warp as far as it goes without the others, then the next
  kWarpBackward,  // likewise, last block and last warp first
};
inline constexpr ThreadOrder kThreadOrders[] = {ThreadOrder::kForward, ThreadOrder::kReverse,
                                                ThreadOrder::kRandom, ThreadOrder::kWarpForward,
                                                ThreadOrder::kWarpBackward};

// What else runs when a stream is waited for.
enum class StreamOrder {
  kLate,    // nothing but what it depends on
  kEager,   // first all work of the other streams, as far as it goes
  kRandom,  // other streams' work in between
};
inline constexpr StreamOrder kStreamOrders[] = {StreamOrder::kLate, StreamOrder::kEager,
                                                StreamOrder::kRandom};

// How Mma adds up.
enum class TensorCore {
  kExact,       // products one by one in f32, rounded to nearest
  kTruncating,  // eight products at a time, cut off below the largest of them: pessimistic
};

// How the products of cuBLAS add up.
enum class ProductSums {
  kAscending,  // one f32 sum in the order of k: the same bits for an element in any shape
  kByShape,    // in parts whose number depends on m, n and k, as a library is free to do
};

enum class Driver { kPresent, kTooOld, kMissing, kNoDevice };

struct Options {
  std::vector<size_t> device_bytes = {size_t{1} << 30};  // one device each
  size_t pinned_bytes = size_t{1} << 30;
  Driver driver = Driver::kPresent;
  ThreadOrder thread_order = ThreadOrder::kForward;
  StreamOrder stream_order = StreamOrder::kLate;
  TensorCore tensor_core = TensorCore::kExact;
  ProductSums product_sums = ProductSums::kAscending;
  uint32_t seed = 1;  // of the random orders
};

// A new machine: pending work is dropped, memory and handles of the old one are gone, counts start
// at 0. No other host thread may be in a call.
void Reset(const Options& options = {});

// Orders and sums from here on; pending work included. Devices, memory and driver stay.
void Reorder(ThreadOrder threads, StreamOrder streams, uint32_t seed = 1);

int Devices();

struct MemoryUse {
  size_t current = 0, peak = 0;  // bytes
};
MemoryUse DeviceMemory(int device);
MemoryUse PinnedMemory();
void ResetPeaks();  // peak = current

struct DeviceCounts {
  int64_t launches = 0;  // kernels that have run
  int64_t products = 0;  // GEMMs that have run
  int64_t bank_conflicts =
      0;                // further passes of ldmatrix: 8 rows are one pass if in 8 bank groups
  int64_t pending = 0;  // operations that have not run yet
};
DeviceCounts Counts(int device);

// Calls of cudaMalloc, cudaMallocHost and cudaHostAlloc since Reset, refused ones included.
int64_t Allocations();

// Streams, events and cuBLAS handles that exist.
int64_t Handles();

// The nth allocation from now (1 is the next) fails with cudaErrorMemoryAllocation, only that one.
// 0: none.
void FailAllocation(int64_t n);

// After `count` more kernels and GEMMs the device is lost: the next one ends in `error`, and so
// does every later call on the device.
void LoseDevice(int device, int64_t count, cudaError_t error = cudaErrorLaunchFailure);

// What was written beside allocations: those that live, and those freed since Reset. Empty if all
// is well. Runs nothing: wait for the streams first.
std::vector<std::string> Overruns();

}  // namespace longrope::stand_in
