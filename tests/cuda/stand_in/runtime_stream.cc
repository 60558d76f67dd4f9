// The runtime's functions on streams, events and kernels.
#include <cuda_runtime_api.h>

#include "tests/cuda/stand_in/launch.h"
#include "tests/cuda/stand_in/machine.h"

namespace longrope::stand_in {
namespace {

cudaError_t CheckLaunch(const void* kernel, const Grid& grid, const Stream* stream) {
  Device& device = CurrentDevice();
  if (stream == nullptr || stream->device != &device) return cudaErrorInvalidResourceHandle;
  const cudaError_t error = CheckGrid(grid);
  if (error != cudaSuccess) return error;
  return grid.shared_bytes > device.AllowedShared(kernel) ? cudaErrorInvalidValue : cudaSuccess;
}

Mark LatestOf(Event& event) {
  const std::lock_guard lock(event.mutex);
  return event.mark;
}

}  // namespace

cudaError_t EnqueueKernel(const void* kernel, const Grid& grid, cudaStream_t handle,
                          std::function<void()> thread) {
  return Answer([&] {
    const std::shared_ptr<Stream> stream = StreamOf(handle);
    const cudaError_t error = CheckLaunch(kernel, grid, stream.get());
    if (error != cudaSuccess) return error;
    Device* device = stream->device;
    device->Enqueue(
        stream, [device, grid, thread = std::move(thread)] { device->RunKernel(grid, thread); });
    return cudaSuccess;
  });
}

}  // namespace longrope::stand_in

using namespace longrope::stand_in;

extern "C" {

cudaError_t cudaFuncSetAttribute(const void* kernel, cudaFuncAttribute attribute, int value) {
  return Answer([&] {
    if (attribute != cudaFuncAttributeMaxDynamicSharedMemorySize) return cudaSuccess;
    if (value < 0 || static_cast<size_t>(value) > kSharedBytesPerBlock) {
      return cudaErrorInvalidValue;
    }
    CurrentDevice().AllowShared(kernel, static_cast<size_t>(value));
    return cudaSuccess;
  });
}

cudaError_t cudaDeviceSynchronize() {
  return Answer([] { return CurrentDevice().WaitForAll(); });
}

cudaError_t cudaStreamCreateWithFlags(cudaStream_t* handle, unsigned int flags) {
  return Answer([&] {
    if (flags != cudaStreamDefault && flags != cudaStreamNonBlocking) return cudaErrorInvalidValue;
    auto stream = CurrentDevice().AddStream(flags == cudaStreamDefault);
    *handle = static_cast<cudaStream_t>(TheMachine().streams.Add(std::move(stream)));
    return cudaSuccess;
  });
}

// What the stream was given still runs.
cudaError_t cudaStreamDestroy(cudaStream_t handle) {
  if (DriverError() != cudaSuccess) return SetLastError(DriverError());
  if (!TheMachine().streams.Remove(handle)) return SetLastError(cudaErrorInvalidResourceHandle);
  return SetLastError(CurrentDevice().lost());
}

cudaError_t cudaStreamSynchronize(cudaStream_t handle) {
  return Answer([&] {
    const std::shared_ptr<Stream> stream = StreamOf(handle);
    if (stream == nullptr) return cudaErrorInvalidResourceHandle;
    return stream->device->Wait(stream);
  });
}

cudaError_t cudaStreamWaitEvent(cudaStream_t handle, cudaEvent_t event, unsigned int) {
  return Answer([&] {
    const std::shared_ptr<Stream> stream = StreamOf(handle);
    const std::shared_ptr<Event> object = TheMachine().events.Find(event);
    if (stream == nullptr || object == nullptr) return cudaErrorInvalidResourceHandle;
    const Mark mark = LatestOf(*object);
    if (mark.stream == nullptr) return cudaSuccess;
    // Between devices the wait is over on return: their queues know nothing of each other.
    if (mark.stream->device != stream->device) return mark.stream->device->Wait(mark);
    stream->device->EnqueueWait(stream, mark);
    return cudaSuccess;
  });
}

cudaError_t cudaEventCreateWithFlags(cudaEvent_t* handle, unsigned int flags) {
  return Answer([&] {
    auto event = std::make_shared<Event>();
    event->device = CurrentDevice().index();
    event->timing = (flags & cudaEventDisableTiming) == 0;
    *handle = static_cast<cudaEvent_t>(TheMachine().events.Add(std::move(event)));
    return cudaSuccess;
  });
}

cudaError_t cudaEventDestroy(cudaEvent_t handle) {
  if (DriverError() != cudaSuccess) return SetLastError(DriverError());
  if (!TheMachine().events.Remove(handle)) return SetLastError(cudaErrorInvalidResourceHandle);
  return SetLastError(CurrentDevice().lost());
}

cudaError_t cudaEventRecord(cudaEvent_t handle, cudaStream_t stream_handle) {
  return Answer([&] {
    const std::shared_ptr<Stream> stream = StreamOf(stream_handle);
    const std::shared_ptr<Event> event = TheMachine().events.Find(handle);
    if (stream == nullptr || event == nullptr || event->device != stream->device->index()) {
      return cudaErrorInvalidResourceHandle;
    }
    const Mark mark = stream->device->Enqueue(stream, {});
    const std::lock_guard lock(event->mutex);
    event->mark = mark;
    return cudaSuccess;
  });
}

cudaError_t cudaEventSynchronize(cudaEvent_t handle) {
  return Answer([&] {
    const std::shared_ptr<Event> event = TheMachine().events.Find(handle);
    if (event == nullptr) return cudaErrorInvalidResourceHandle;
    const Mark mark = LatestOf(*event);
    return mark.stream == nullptr ? cudaSuccess : mark.stream->device->Wait(mark);
  });
}

cudaError_t cudaEventElapsedTime(float* milliseconds, cudaEvent_t start, cudaEvent_t end) {
  return Answer([&] {
    const std::shared_ptr<Event> first = TheMachine().events.Find(start);
    const std::shared_ptr<Event> second = TheMachine().events.Find(end);
    if (first == nullptr || second == nullptr || !first->timing || !second->timing) {
      return cudaErrorInvalidResourceHandle;
    }
    const Mark from = LatestOf(*first), to = LatestOf(*second);
    if (from.stream == nullptr || to.stream == nullptr) return cudaErrorInvalidResourceHandle;
    if (!from.stream->device->Reached(from) || !to.stream->device->Reached(to)) {
      return cudaErrorNotReady;
    }
    *milliseconds = static_cast<float>((*to.seconds - *from.seconds) * 1e3);
    return cudaSuccess;
  });
}

}  // extern "C"
