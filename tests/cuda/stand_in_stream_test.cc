// Streams run late and in every legal order, so that a missing wait shows.
#include <functional>
#include <set>
#include <thread>

#include "kernels/cuda/device.h"
#include "tests/cuda/stand_in/fixture.h"

namespace longrope::cuda {
namespace {

using stand_in::DeviceArray;
using stand_in::StreamOrder;
using stand_in::ThreadOrder;

__global__ void Fill(float* out, float value) { out[threadIdx.x] = value; }
__global__ void AddOne(float* out, const float* in) { out[threadIdx.x] = in[threadIdx.x] + 1; }

class Stream {
 public:
  explicit Stream(unsigned flags = cudaStreamNonBlocking) {
    LONGROPE_CUDA_CHECK(cudaStreamCreateWithFlags(&stream_, flags));
  }
  ~Stream() { cudaStreamDestroy(stream_); }
  Stream(const Stream&) = delete;
  Stream& operator=(const Stream&) = delete;
  operator cudaStream_t() const { return stream_; }

 private:
  cudaStream_t stream_ = nullptr;
};

class Event {
 public:
  explicit Event(unsigned flags = cudaEventDisableTiming) {
    LONGROPE_CUDA_CHECK(cudaEventCreateWithFlags(&event_, flags));
  }
  ~Event() { cudaEventDestroy(event_); }
  Event(const Event&) = delete;
  Event& operator=(const Event&) = delete;
  operator cudaEvent_t() const { return event_; }

 private:
  cudaEvent_t event_ = nullptr;
};

struct Pinned {
  explicit Pinned(size_t size) {
    LONGROPE_CUDA_CHECK(cudaMallocHost(reinterpret_cast<void**>(&data), size * sizeof(float)));
  }
  ~Pinned() { cudaFreeHost(data); }
  Pinned(const Pinned&) = delete;
  Pinned& operator=(const Pinned&) = delete;
  float* data = nullptr;
};

class StandInStream : public stand_in::StandInTest {
 protected:
  // What body() answers under every order of streams and some seeds.
  static std::set<float> Outcomes(const std::function<float()>& body) {
    std::set<float> outcomes;
    for (const StreamOrder order : stand_in::kStreamOrders) {
      for (uint32_t seed = 1; seed <= 8; ++seed) {
        stand_in::Reorder(ThreadOrder::kForward, order, seed);
        const float outcome = body();
        outcomes.insert(outcome == outcome ? outcome : -1);  // -1: was never written
      }
    }
    return outcomes;
  }
};

TEST_F(StandInStream, NothingRunsUntilSomebodyWaits) {
  const Stream stream, other;
  const DeviceArray<float> array(32);
  LONGROPE_CUDA_CHECK(Launch(Fill, 1, 32, 0, stream, array.data(), 1.0f));
  LONGROPE_CUDA_CHECK(Launch(Fill, 1, 32, 0, other, array.data(), 2.0f));
  EXPECT_EQ(stand_in::Counts(0).launches, 0);
  EXPECT_EQ(stand_in::Counts(0).pending, 2);
  EXPECT_EQ(cudaStreamSynchronize(stream), cudaSuccess);
  EXPECT_EQ(stand_in::Counts(0).launches, 1);
  EXPECT_EQ(cudaStreamSynchronize(other), cudaSuccess);
  EXPECT_EQ(stand_in::Counts(0).launches, 2);
  EXPECT_EQ(array.Get()[0], 2.0f);
}

TEST_F(StandInStream, EagerAndRandomOrdersRunOtherStreamsToo) {
  const Stream stream, other;
  const DeviceArray<float> array(32);
  stand_in::Reorder(ThreadOrder::kForward, StreamOrder::kEager);
  LONGROPE_CUDA_CHECK(Launch(Fill, 1, 32, 0, stream, array.data(), 1.0f));
  LONGROPE_CUDA_CHECK(Launch(Fill, 1, 32, 0, other, array.data(), 2.0f));
  EXPECT_EQ(cudaStreamSynchronize(stream), cudaSuccess);
  EXPECT_EQ(stand_in::Counts(0).launches, 2);
  EXPECT_EQ(array.Get()[0], 1.0f);  // the stream's own came last
}

// A copy on one stream, its use on another.
float CopyAndUse(bool wait) {
  const Stream copies, kernels;
  const Event copied;
  const Pinned staging(32);
  const DeviceArray<float> in(32), out(32);
  for (int i = 0; i < 32; ++i) staging.data[i] = 5;
  cudaMemcpyAsync(in.data(), staging.data, 128, cudaMemcpyHostToDevice, copies);
  cudaEventRecord(copied, copies);
  if (wait) cudaStreamWaitEvent(kernels, copied, 0);
  LONGROPE_CUDA_CHECK(Launch(AddOne, 1, 32, 0, kernels, out.data(), in.data()));
  cudaStreamSynchronize(kernels);
  float result[32];
  cudaMemcpy(result, out.data(), 128, cudaMemcpyDeviceToHost);
  cudaDeviceSynchronize();
  return result[0];
}

TEST_F(StandInStream, AMissingWaitForAnEventShows) {
  EXPECT_EQ(Outcomes([] { return CopyAndUse(true); }), (std::set<float>{6}));
  EXPECT_EQ(Outcomes([] { return CopyAndUse(false); }), (std::set<float>{-1, 6}));
}

// Two copies through one staging buffer.
float ReuseStaging(bool wait) {
  const Stream stream;
  const Event copied;
  const Pinned staging(32);
  const DeviceArray<float> first(32), second(32);
  for (int i = 0; i < 32; ++i) staging.data[i] = 1;
  cudaMemcpyAsync(first.data(), staging.data, 128, cudaMemcpyHostToDevice, stream);
  cudaEventRecord(copied, stream);
  if (wait) cudaEventSynchronize(copied);
  for (int i = 0; i < 32; ++i) staging.data[i] = 2;
  cudaMemcpyAsync(second.data(), staging.data, 128, cudaMemcpyHostToDevice, stream);
  cudaStreamSynchronize(stream);
  return first.Get()[0];
}

TEST_F(StandInStream, EarlyReuseOfPinnedMemoryShows) {
  EXPECT_EQ(Outcomes([] { return ReuseStaging(true); }), (std::set<float>{1}));
  EXPECT_EQ(Outcomes([] { return ReuseStaging(false); }), (std::set<float>{2}));
}

// A device buffer that is filled anew while it may still be in use.
float RefillInput(bool wait) {
  const Stream copies, kernels;
  const Event used;
  const Pinned staging(32);
  const DeviceArray<float> in(std::vector<float>(32, 1.0f)), out(32);
  for (int i = 0; i < 32; ++i) staging.data[i] = 5;
  LONGROPE_CUDA_CHECK(Launch(AddOne, 1, 32, 0, kernels, out.data(), in.data()));
  cudaEventRecord(used, kernels);
  if (wait) cudaStreamWaitEvent(copies, used, 0);
  cudaMemcpyAsync(in.data(), staging.data, 128, cudaMemcpyHostToDevice, copies);
  cudaStreamSynchronize(kernels);
  const float result = out.Get()[0];
  return result;
}

TEST_F(StandInStream, AMissingWaitBeforeARefillShows) {
  EXPECT_EQ(Outcomes([] { return RefillInput(true); }), (std::set<float>{2}));
  EXPECT_EQ(Outcomes([] { return RefillInput(false); }), (std::set<float>{2, 6}));
}

TEST_F(StandInStream, PageableMemoryIsReadAtOnceAndWrittenAtOnce) {
  const Stream stream;
  std::vector<float> values(32, 1.0f);
  const DeviceArray<float> in(32), out(32);
  cudaMemcpyAsync(in.data(), values.data(), 128, cudaMemcpyHostToDevice, stream);
  values.assign(32, 7.0f);
  LONGROPE_CUDA_CHECK(Launch(AddOne, 1, 32, 0, stream, out.data(), in.data()));
  cudaMemcpyAsync(values.data(), out.data(), 128, cudaMemcpyDeviceToHost, stream);
  EXPECT_EQ(values[0], 2.0f);
}

TEST_F(StandInStream, PinnedMemoryIsWrittenLate) {
  const Stream stream;
  const Pinned result(32);
  const DeviceArray<float> array(std::vector<float>(32, 3.0f));
  cudaMemcpyAsync(result.data, array.data(), 128, cudaMemcpyDeviceToHost, stream);
  EXPECT_NE(result.data[0], 3.0f);
  cudaStreamSynchronize(stream);
  EXPECT_EQ(result.data[0], 3.0f);
}

TEST_F(StandInStream, PinnedMemoryThatIsFreedBeforeItsCopy) {
  const Stream stream;
  const DeviceArray<float> array(32);
  {
    const Pinned staging(32);
    cudaMemcpyAsync(array.data(), staging.data, 128, cudaMemcpyHostToDevice, stream);
  }
  EXPECT_FAULT(cudaStreamSynchronize(stream), "pinned memory was freed");
}

TEST_F(StandInStream, RowsOfACopyKeepToTheirPitch) {
  const Stream stream;
  std::vector<float> values(12);
  for (size_t i = 0; i < 12; ++i) values[i] = static_cast<float>(i);
  const DeviceArray<float> array(std::vector<float>(15));
  EXPECT_EQ(
      cudaMemcpy2DAsync(array.data(), 20, values.data(), 16, 12, 3, cudaMemcpyHostToDevice, stream),
      cudaSuccess);
  EXPECT_EQ(array.Get(), (std::vector<float>{0, 1, 2, 0, 0, 4, 5, 6, 0, 0, 8, 9, 10, 0, 0}));
  EXPECT_EQ(
      cudaMemcpy2DAsync(array.data(), 8, values.data(), 16, 12, 3, cudaMemcpyHostToDevice, stream),
      cudaErrorInvalidPitchValue);
}

TEST_F(StandInStream, TheDefaultStreamIsOrderedWithBlockingStreamsOnly) {
  for (const unsigned flags : {cudaStreamDefault, cudaStreamNonBlocking}) {
    const Stream stream(flags);
    const DeviceArray<float> array(32);
    LONGROPE_CUDA_CHECK(Launch(Fill, 1, 32, 0, stream, array.data(), 1.0f));
    float result[32];
    cudaMemcpy(result, array.data(), 128, cudaMemcpyDeviceToHost);
    EXPECT_EQ(result[0] == 1.0f, flags == cudaStreamDefault);
    cudaDeviceSynchronize();

    LONGROPE_CUDA_CHECK(Launch(Fill, 1, 32, 0, nullptr, array.data(), 2.0f));
    LONGROPE_CUDA_CHECK(Launch(Fill, 1, 32, 0, stream, array.data(), 3.0f));
    cudaStreamSynchronize(stream);
    EXPECT_EQ(array.Get()[0] == 3.0f, flags == cudaStreamDefault);
  }
}

TEST_F(StandInStream, WorkOfADestroyedStreamStillRuns) {
  const DeviceArray<float> array(32);
  {
    const Stream stream;
    LONGROPE_CUDA_CHECK(Launch(Fill, 1, 32, 0, stream, array.data(), 1.0f));
  }
  EXPECT_EQ(array.Get()[0], 1.0f);
}

TEST_F(StandInStream, FreeingWaitsForTheDevice) {
  const Stream stream;
  const DeviceArray<float> array(32);
  LONGROPE_CUDA_CHECK(Launch(Fill, 1, 32, 0, stream, array.data(), 1.0f));
  { const DeviceArray<float> other(1); }
  EXPECT_EQ(stand_in::Counts(0).launches, 1);
}

TEST_F(StandInStream, EventsTakeTimeAndMeanTheLatestRecord) {
  const Stream stream, other;
  const Event start(cudaEventDefault), end(cudaEventDefault), untimed;
  const DeviceArray<float> array(32);
  EXPECT_EQ(cudaEventSynchronize(start), cudaSuccess);  // never recorded: nothing to wait for
  float milliseconds = -1;
  EXPECT_EQ(cudaEventElapsedTime(&milliseconds, start, end), cudaErrorInvalidResourceHandle);
  EXPECT_EQ(cudaGetLastError(), cudaErrorInvalidResourceHandle);
  cudaEventRecord(start, stream);
  LONGROPE_CUDA_CHECK(Launch(Fill, 1, 32, 0, stream, array.data(), 1.0f));
  cudaEventRecord(end, stream);
  EXPECT_EQ(cudaEventElapsedTime(&milliseconds, start, end), cudaErrorNotReady);
  cudaStreamWaitEvent(other, end, 0);
  cudaEventRecord(end, other);
  cudaEventSynchronize(end);
  EXPECT_EQ(stand_in::Counts(0).launches, 1);
  EXPECT_EQ(cudaEventElapsedTime(&milliseconds, start, end), cudaSuccess);
  EXPECT_GE(milliseconds, 0.0f);
  EXPECT_EQ(cudaEventElapsedTime(&milliseconds, start, untimed), cudaErrorInvalidResourceHandle);
  EXPECT_EQ(cudaGetLastError(), cudaErrorInvalidResourceHandle);
}

TEST_F(StandInStream, HandlesThatAreNone) {
  cudaStream_t stream;
  cudaEvent_t event;
  {
    const Stream s;
    const Event e;
    stream = s;
    event = e;
  }
  EXPECT_EQ(cudaStreamSynchronize(stream), cudaErrorInvalidResourceHandle);
  EXPECT_EQ(cudaStreamDestroy(stream), cudaErrorInvalidResourceHandle);
  EXPECT_EQ(cudaEventSynchronize(event), cudaErrorInvalidResourceHandle);
  EXPECT_EQ(cudaEventDestroy(event), cudaErrorInvalidResourceHandle);
  EXPECT_EQ(cudaEventRecord(event, nullptr), cudaErrorInvalidResourceHandle);
  EXPECT_NE(Launch(Fill, 1, 32, 0, stream, static_cast<float*>(nullptr), 1.0f), cudaSuccess);
}

}  // namespace
}  // namespace longrope::cuda
