#include "tests/gpu_day/measure.h"

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <functional>
#include <map>

#include "eval/rope_builder.h"
#include "eval/work.h"
#include "kernels/cuda/cuda_engine.h"
#include "kernels/cuda/gemm.h"
#include "kernels/cuda/memory_plan.h"
#include "kernels/cuda/ops.h"
#include "tests/cuda/engine_pass.h"
#include "tests/gpu_day/fill.h"
#include "tests/support/random_weights.h"

namespace longrope::gpu_day {
namespace {

using cuda::DeviceArray;
using cuda::Stream;
using T = __nv_bfloat16;
constexpr int64_t kBlock = 2048;
// Of one measurement of two layers, by the length before it, and of a whole pass.
constexpr double kLongestSeconds = 25, kLongestWholePass = 45;

// Seconds of one call, the fastest of some after a first that warms up; waits for the stream.
double SecondsOf(const Stream& stream, int times, const std::function<void()>& call) {
  double best = 1e300;
  for (int i = 0; i <= times; ++i) {
    stream.Wait();
    const auto begin = std::chrono::steady_clock::now();
    call();
    stream.Wait();
    const std::chrono::duration<double> took = std::chrono::steady_clock::now() - begin;
    if (i > 0 || times == 0) best = std::min(best, took.count());
  }
  return best;
}

std::string ShareText(double flops, double seconds, const Device& device) {
  char text[80];
  const double tera = flops / seconds / 1e12;
  if (device.peak_tflops > 0) {
    std::snprintf(text, sizeof text, "%.1f | %.0f %%", tera, 100 * tera / device.peak_tflops);
  } else {
    std::snprintf(text, sizeof text, "%.1f | -", tera);
  }
  return text;
}

// One layer's random numbers serve for all: views of one array.
class Weights final : public WeightSource {
 public:
  explicit Weights(const ModelShape& s) : s_(s) {
    const int64_t widest = std::max<int64_t>({s.vocab, s.ffn, s.hidden});
    values_.resize(static_cast<size_t>(widest * s.hidden));
    uint32_t state = 1;
    for (uint16_t& value : values_) {
      state = state * 1664525u + 1013904223u;
      value = static_cast<uint16_t>(0x3c00 | (state >> 16 & 0x807f));  // bf16, about +-0.01
    }
  }
  TensorView Get(WeightRole role, int) const override {
    const MatrixSize size = WeightSize(role, s_);
    return {reinterpret_cast<const std::byte*>(values_.data()), DType::kBF16, size.rows, size.cols};
  }

 private:
  ModelShape s_;
  std::vector<uint16_t> values_;
};

// The last block of rows of a sequence, on all keys before them.
void AttendOnce(const NamedShape& model, const Device& device, int64_t length) {
  const ModelShape& s = model.shape;
  const Stream stream;
  const int64_t rows = std::min(kBlock, length), wide = s.QueryWidth();
  const int64_t kv = s.KvWidth();
  const DeviceArray<T> q(rows * wide), out(rows * wide), k(length * kv), v(length * kv);
  FillRandom(q.get(), rows * wide, 1);
  FillRandom(k.get(), length * kv, 2);
  FillRandom(v.get(), length * kv, 3);
  const cuda::AttentionArguments<T> arguments = {out.get(),
                                                 q.get(),
                                                 k.get(),
                                                 v.get(),
                                                 static_cast<int>(rows),
                                                 static_cast<int>(length - rows),
                                                 0,
                                                 s.heads,
                                                 s.kv_heads,
                                                 s.head_dim};
  const double seconds =
      SecondsOf(stream, length > 200'000 ? 1 : 5, [&] { cuda::Attend(arguments, stream.get()); });
  const double keys = static_cast<double>(length) - static_cast<double>(rows) / 2;
  const double flops = 4.0 * static_cast<double>(rows) * keys * s.heads * s.head_dim;
  std::printf("| %s | attention, rows %lld to %lld | %.4g ms | %s | |\n", model.name.c_str(),
              static_cast<long long>(length - rows), static_cast<long long>(length), seconds * 1e3,
              ShareText(flops, seconds, device).c_str());
}

// A line that says so where the device's memory does not hold it.
void UnlessMemoryIsShort(const NamedShape& model, const char* what, int64_t length,
                         const std::function<void()>& body) {
  try {
    body();
  } catch (const DeviceError& error) {
    if (error.kind() != DeviceError::Kind::kOutOfMemory) throw;
    std::printf("| %s | %s of %lld tokens | memory does not hold it | | | |\n", model.name.c_str(),
                what, static_cast<long long>(length));
  }
}

// Passes of random tokens through a model of some layers.
class TimedModel {
 public:
  TimedModel(const Engine& engine, const ModelShape& shape, int64_t longest)
      : engine_(engine),
        shape_(shape),
        weights_(shape),
        model_(engine.Bind(shape, weights_, longest)) {}

  struct Timing {
    double seconds = 0, taken_gb = 0;  // of the device, all that lives then
  };
  // `score`: the head, too.
  Timing Run(int64_t length, bool score) const {
    const RopeTable rope =
        BuildRopeTable({std::vector<float>(static_cast<size_t>(shape_.head_dim / 2), 1.0f), 0, 1},
                       {shape_.head_dim, 10000, 0}, length, engine_.Threads());
    const std::vector<int32_t> tokens = testing::RandomIds(length, shape_.vocab);
    const auto sequence = model_->Open(tokens, rope, KvScope::kOneLayer);
    const auto begin = std::chrono::steady_clock::now();
    for (int layer = 0; layer < shape_.layers; ++layer) {
      sequence->Extend(layer, {0, length});
      sequence->Advance(layer, {0, length});
    }
    if (score) {
      std::vector<double> nats(tokens.size());
      sequence->Score({0, length}, tokens, nats, {});
    }
    sequence->Wait();
    const std::chrono::duration<double> took = std::chrono::steady_clock::now() - begin;
    size_t free = 0, total = 0;
    LONGROPE_CUDA_CHECK(cudaMemGetInfo(&free, &total));
    return {took.count(), static_cast<double>(total - free) / 1e9};
  }

 private:
  const Engine& engine_;
  ModelShape shape_;
  Weights weights_;
  std::unique_ptr<Model> model_;
};

// All layers and the head, at all lengths up to `longest`.
void MeasureWholePasses(const NamedShape& model, const Device& device, const Engine& engine,
                        const std::vector<int64_t>& lengths, int64_t longest) {
  UnlessMemoryIsShort(model, "a whole pass", longest, [&] {
    const TimedModel all(engine, model.shape, longest);
    for (const int64_t length : lengths) {
      if (length > longest) break;
      const auto [took, taken] = all.Run(length, true);
      std::printf("| %s | whole pass: %lld tokens | %.4g s, %.0f tokens/s | %s | %.1f GB taken |\n",
                  model.name.c_str(), static_cast<long long>(length), took,
                  static_cast<double>(length) / took,
                  ShareText(DocumentFlops(model.shape, length), took, device).c_str(), taken);
    }
  });
}

}  // namespace

std::vector<NamedShape> Shapes(bool small) {
  ModelShape llama = testing::Llama2Shape(), mistral = testing::MistralShape();
  if (small) {
    llama = {.layers = 4,
             .hidden = 32,
             .heads = 2,
             .kv_heads = 2,
             .head_dim = 64,
             .ffn = 48,
             .vocab = 50};
    mistral = llama;
    mistral.kv_heads = 1;
  }
  const std::string name = small ? "tiny, as " : "";
  return {{name + "LLaMA-2-7B", llama}, {name + "Mistral-7B", mistral}};
}

Device CurrentDevice() {
  cudaDeviceProp properties;
  LONGROPE_CUDA_CHECK(cudaGetDeviceProperties(&properties, 0));
  int kilohertz = 0;
  LONGROPE_CUDA_CHECK(cudaDeviceGetAttribute(&kilohertz, cudaDevAttrClockRate, 0));
  // FLOP a clock and processor, dense bf16 with float sums: NVIDIA's architecture papers. Of
  // sm_86, 89 and 120 it depends on the product.
  const std::map<int, double> per_clock = {{80, 2048}, {90, 4096}, {100, 8192}};
  const auto known = per_clock.find(10 * properties.major + properties.minor);
  Device device{properties.name, properties.multiProcessorCount, properties.major,
                properties.minor};
  if (known != per_clock.end()) {
    device.peak_tflops = known->second * properties.multiProcessorCount * kilohertz / 1e9;
  }
  device.memory_gb = static_cast<double>(properties.totalGlobalMem) / 1e9;
  return device;
}

void MeasureAttention(const NamedShape& model, const Device& device,
                      const std::vector<int64_t>& lengths) {
  for (const int64_t length : lengths) {
    UnlessMemoryIsShort(model, "attention", length, [&] { AttendOnce(model, device, length); });
  }
}

void MeasureProjections(const NamedShape& model, const Device& device) {
  const ModelShape& s = model.shape;
  const Stream stream;
  const cuda::Gemm gemm(stream);
  const int64_t wide = s.QueryWidth(), kv = s.KvWidth();
  struct Product {
    const char* name;
    int64_t inputs, outputs;
  };
  for (const auto& [name, inputs, outputs] : {Product{"query", s.hidden, wide},
                                              {"key", s.hidden, kv},
                                              {"output", wide, s.hidden},
                                              {"gate", s.hidden, s.ffn},
                                              {"down", s.ffn, s.hidden}}) {
    const DeviceArray<T> x(kBlock * inputs), weight(outputs * inputs), y(kBlock * outputs);
    FillRandom(x.get(), kBlock * inputs, 4);
    FillRandom(weight.get(), outputs * inputs, 5, 0.02);
    const double seconds = SecondsOf(
        stream, 10, [&] { gemm.Project(y.get(), x.get(), weight.get(), kBlock, inputs, outputs); });
    const double flops = 2.0 * kBlock * static_cast<double>(inputs) * static_cast<double>(outputs);
    std::printf("| %s | projection %s, %lld rows | %.4g ms | %s | |\n", model.name.c_str(), name,
                static_cast<long long>(kBlock), seconds * 1e3,
                ShareText(flops, seconds, device).c_str());
  }
}

void MeasureLayers(const NamedShape& model, const Device& device,
                   const std::vector<int64_t>& lengths) {
  ModelShape two = model.shape;
  two.layers = 2;
  const auto engine = MakeCudaEngine({});
  TimedModel(*engine, two, lengths.front()).Run(lengths.front(), false);  // warms up
  double seconds = 0;
  int64_t before = 1, whole = 0;
  for (const int64_t length : lengths) {
    // Attention grows with the square.
    const double ratio = static_cast<double>(length) / static_cast<double>(before);
    const double expected = seconds * ratio * ratio;
    if (expected > kLongestSeconds) {
      std::printf("| %s | two layers of %lld tokens | not measured: about %.0f s | | | |\n",
                  model.name.c_str(), static_cast<long long>(length), expected);
      continue;
    }
    UnlessMemoryIsShort(model, "two layers", length, [&] {
      const auto [took, taken] = TimedModel(*engine, two, length).Run(length, false);
      seconds = took, before = length;
      const double scaled = took / 2 * model.shape.layers;
      if (scaled < kLongestWholePass) whole = length;
      std::printf(
          "| %s | two layers timed, scaled to %d: %lld tokens | %.4g s, %.0f tokens/s | %s "
          "| %.1f GB taken |\n",
          model.name.c_str(), model.shape.layers, static_cast<long long>(length), scaled,
          static_cast<double>(length) / scaled,
          ShareText(LayerFlops(two, length), took, device).c_str(), taken);
    });
  }
  if (whole > 0) MeasureWholePasses(model, device, *engine, lengths, whole);
}

}  // namespace longrope::gpu_day
