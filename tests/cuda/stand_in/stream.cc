#include "tests/cuda/stand_in/stream.h"

#include <algorithm>
#include <chrono>

namespace longrope::stand_in {
namespace {

double Now() {
  return std::chrono::duration<double>(std::chrono::steady_clock::now().time_since_epoch()).count();
}

// Device code may touch the device's memory while one lives.
class Opened {
 public:
  Opened(Memory& memory, int device) : memory_(memory), device_(device) { memory_.Open(device_); }
  ~Opened() { memory_.Close(device_); }
  Opened(const Opened&) = delete;
  Opened& operator=(const Opened&) = delete;

 private:
  Memory& memory_;
  int device_;
};

}  // namespace

Device::Device(int index, const Conduct& conduct, Memory& memory, uint32_t seed)
    : index_(index), conduct_(conduct), memory_(memory), random_(seed) {
  default_stream_ = AddStream(true);
}

std::shared_ptr<Stream> Device::AddStream(bool blocking) {
  const std::lock_guard lock(mutex_);
  auto stream = std::make_shared<Stream>();
  stream->device = this;
  stream->blocking = blocking;
  // Streams that nobody can name any more and that have nothing to do.
  std::erase_if(streams_, [](const auto& s) { return s.use_count() == 1 && s->queue.empty(); });
  streams_.push_back(stream);
  return stream;
}

Mark Device::Enqueue(const std::shared_ptr<Stream>& stream, std::function<void()> run) {
  const std::lock_guard lock(mutex_);
  const auto push = [&](Stream::Operation operation) {
    stream->queue.push_back(std::move(operation));
    return ++stream->enqueued;
  };
  // The default stream waits for all blocking streams, and they for it.
  if (stream == default_stream_) {
    for (const auto& other : streams_) {
      if (other != stream && other->blocking && !other->queue.empty()) {
        push({{}, other, other->enqueued});
      }
    }
  } else if (stream->blocking && !default_stream_->queue.empty()) {
    push({{}, default_stream_, default_stream_->enqueued});
  }
  auto seconds = std::make_shared<double>(0.0);
  const uint64_t number = push({[run = std::move(run), seconds] {
                                  if (run) run();
                                  *seconds = Now();
                                },
                                nullptr, 0});
  return {stream, number, seconds};
}

void Device::EnqueueWait(const std::shared_ptr<Stream>& stream, const Mark& mark) {
  const std::lock_guard lock(mutex_);
  stream->queue.push_back({{}, mark.stream, mark.number});
  ++stream->enqueued;
}

template <class Loop>
cudaError_t Device::Run(const Loop& loop) {
  const std::lock_guard lock(mutex_);
  if (lost_ != cudaSuccess) return lost_;
  const Opened opened(memory_, index_);
  try {
    loop();
  } catch (const Lost&) {
    DropAll();
  } catch (...) {
    DropAll();
    throw;
  }
  return lost_;
}

cudaError_t Device::Wait(const Mark& mark) {
  return Run([&] { RunUpTo(*mark.stream, mark.number); });
}

cudaError_t Device::Wait(const std::shared_ptr<Stream>& stream) {
  return Run([&] { RunUpTo(*stream, stream->enqueued); });
}

cudaError_t Device::WaitForAll() {
  return Run([&] {
    // Their order, too, is the stream order's to say: late means the latest stream first.
    std::vector<std::shared_ptr<Stream>> streams = streams_;
    if (conduct_.streams == StreamOrder::kLate) std::reverse(streams.begin(), streams.end());
    for (const auto& stream : streams) RunUpTo(*stream, stream->enqueued);
  });
}

bool Device::Reached(const Mark& mark) {
  const std::lock_guard lock(mutex_);
  return mark.stream->executed >= mark.number;
}

const Stream::Operation* Device::Obstacle(const Stream& stream) {
  const Stream::Operation& next = stream.queue.front();
  return next.other != nullptr && next.other->executed < next.number ? &next : nullptr;
}

std::vector<Stream*> Device::Ready() const {
  std::vector<Stream*> ready;
  for (const auto& stream : streams_) {
    if (!stream->queue.empty() && Obstacle(*stream) == nullptr) ready.push_back(stream.get());
  }
  return ready;
}

void Device::RunNext(Stream& stream) {
  const Stream::Operation operation = std::move(stream.queue.front());
  stream.queue.pop_front();
  if (operation.run) operation.run();
  ++stream.executed;
}

void Device::RunUpTo(Stream& stream, uint64_t number) {
  while (stream.executed < number) {
    const StreamOrder order = conduct_.streams;
    if (order == StreamOrder::kRandom) {
      const std::vector<Stream*> ready = Ready();
      RunNext(*ready[random_() % ready.size()]);
      continue;
    }
    if (order == StreamOrder::kEager) {
      const std::vector<Stream*> ready = Ready();
      const auto other = std::find_if(ready.begin(), ready.end(),
                                      [&](const Stream* each) { return each != &stream; });
      if (other != ready.end()) {
        RunNext(**other);
        continue;
      }
    }
    if (const Stream::Operation* obstacle = Obstacle(stream)) {
      const std::shared_ptr<Stream> other = obstacle->other;
      RunUpTo(*other, obstacle->number);
    } else {
      RunNext(stream);
    }
  }
}

void Device::DropAll() {
  for (const auto& stream : streams_) {
    stream->queue.clear();
    stream->executed = stream->enqueued;
  }
}

void Device::CountWork() {
  if (work_left_ < 0) return;
  if (work_left_-- > 0) return;
  lost_ = loss_;
  throw Lost{};
}

void Device::RunKernel(const Grid& grid, const std::function<void()>& thread) {
  CountWork();
  ++counts_.launches;
  void* argument = const_cast<void*>(static_cast<const void*>(&thread));
  counts_.bank_conflicts += RunGrid(
      grid, conduct_.threads, conduct_.tensor_core, random_,
      [](void* body) { (*static_cast<const std::function<void()>*>(body))(); }, argument);
}

void Device::CountProduct() {
  CountWork();
  ++counts_.products;
}

void Device::LoseAfter(int64_t count, cudaError_t error) {
  const std::lock_guard lock(mutex_);
  work_left_ = count;
  loss_ = error;
}

void Device::Reseed(uint32_t seed) {
  const std::lock_guard lock(mutex_);
  random_.seed(seed);
}

DeviceCounts Device::counts() {
  const std::lock_guard lock(mutex_);
  DeviceCounts counts = counts_;
  for (const auto& stream : streams_) counts.pending += static_cast<int64_t>(stream->queue.size());
  return counts;
}

void Device::AllowShared(const void* kernel, size_t bytes) {
  const std::lock_guard lock(mutex_);
  allowed_shared_[kernel] = bytes;
}

size_t Device::AllowedShared(const void* kernel) {
  const std::lock_guard lock(mutex_);
  const auto at = allowed_shared_.find(kernel);
  return at == allowed_shared_.end() ? kSharedBytesByDefault : at->second;
}

}  // namespace longrope::stand_in
