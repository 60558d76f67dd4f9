#include "tests/cuda/stand_in/machine.h"

#include <stdexcept>

#include "tests/cuda/stand_in/blas.h"

namespace longrope::stand_in {
namespace {

std::unique_ptr<Machine>& MachineSlot() {
  static auto machine = std::make_unique<Machine>(Options{});
  return machine;
}

constinit thread_local int current_device = 0;
constinit thread_local cudaError_t last_error = cudaSuccess;

Device& DeviceAt(int index) { return *TheMachine().devices.at(static_cast<size_t>(index)); }

}  // namespace

Machine::Machine(const Options& o)
    : options(o),
      conduct{o.thread_order, o.stream_order, o.tensor_core, o.product_sums},
      memory(o.device_bytes, o.pinned_bytes) {
  for (size_t i = 0; i < o.device_bytes.size(); ++i) {
    devices.push_back(std::make_unique<Device>(static_cast<int>(i), conduct, memory,
                                               o.seed + static_cast<uint32_t>(i)));
  }
}

Machine& TheMachine() { return *MachineSlot(); }

Device& CurrentDevice() {
  // A thread that chose a device of a machine before.
  if (static_cast<size_t>(current_device) >= TheMachine().devices.size()) current_device = 0;
  return DeviceAt(current_device);
}

cudaError_t SetLastError(cudaError_t error) {
  if (error != cudaSuccess && error != cudaErrorNotReady) last_error = error;
  return error;
}

std::shared_ptr<Stream> StreamOf(cudaStream_t handle) {
  if (handle == nullptr || handle == cudaStreamLegacy) return CurrentDevice().default_stream();
  return TheMachine().streams.Find(handle);
}

cudaError_t DriverError() {
  const Machine& machine = TheMachine();
  const bool missing = machine.options.driver == Driver::kMissing;
  if (missing || machine.options.driver == Driver::kTooOld) return cudaErrorInsufficientDriver;
  if (machine.options.driver == Driver::kNoDevice || machine.devices.empty()) {
    return cudaErrorNoDevice;
  }
  return cudaSuccess;
}

void Reset(const Options& options) {
  current_device = 0;
  last_error = cudaSuccess;
  MachineSlot() = nullptr;
  MachineSlot() = std::make_unique<Machine>(options);
}

void Reorder(ThreadOrder threads, StreamOrder streams, uint32_t seed) {
  Machine& machine = TheMachine();
  machine.conduct.threads = threads;
  machine.conduct.streams = streams;
  for (const auto& device : machine.devices) {
    device->Reseed(seed + static_cast<uint32_t>(device->index()));
  }
}

int Devices() { return static_cast<int>(TheMachine().devices.size()); }
MemoryUse DeviceMemory(int device) { return TheMachine().memory.Use(DeviceAt(device).index()); }
MemoryUse PinnedMemory() { return TheMachine().memory.Use(Memory::kPinned); }
void ResetPeaks() { TheMachine().memory.ResetPeaks(); }
DeviceCounts Counts(int device) { return DeviceAt(device).counts(); }
int64_t Allocations() { return TheMachine().allocations; }

int64_t Handles() {
  Machine& machine = TheMachine();
  return machine.streams.size() + machine.events.size() + machine.blas_handles.size();
}

void FailAllocation(int64_t n) {
  Machine& machine = TheMachine();
  machine.failing_allocation = n > 0 ? machine.allocations + n : 0;
}

void LoseDevice(int device, int64_t count, cudaError_t error) {
  DeviceAt(device).LoseAfter(count, error);
}

std::vector<std::string> Overruns() { return TheMachine().memory.Overruns(); }

}  // namespace longrope::stand_in

// ---- Devices and errors.

using namespace longrope::stand_in;

extern "C" {

cudaError_t cudaGetLastError() {
  // The loss of a device is not forgotten.
  cudaError_t error = DriverError();
  if (error == cudaSuccess) error = CurrentDevice().lost();
  if (error == cudaSuccess) error = last_error;
  last_error = cudaSuccess;
  return error;
}

cudaError_t cudaPeekAtLastError() {
  const cudaError_t error = cudaGetLastError();
  last_error = error;
  return error;
}

cudaError_t cudaGetDeviceCount(int* count) {
  const cudaError_t error = DriverError();
  *count = error == cudaSuccess ? static_cast<int>(TheMachine().devices.size()) : 0;
  return SetLastError(error);
}

cudaError_t cudaSetDevice(int device) {
  const cudaError_t error = DriverError();
  if (error != cudaSuccess) return SetLastError(error);
  if (device < 0 || static_cast<size_t>(device) >= TheMachine().devices.size()) {
    return SetLastError(cudaErrorInvalidDevice);
  }
  current_device = device;
  return SetLastError(DeviceAt(device).lost());
}

cudaError_t cudaGetDevice(int* device) {
  return Answer([&] {
    *device = CurrentDevice().index();
    return cudaSuccess;
  });
}

}  // extern "C"
