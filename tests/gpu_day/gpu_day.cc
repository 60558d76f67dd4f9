// All that a machine with a GPU can say of the CUDA engine, as a report in Markdown on stdout: the
// kernels' tests on the device, whole passes against a plain transformer in double, speed.
// usage: gpu_day [--small]   exit code 1 if anything is wrong
#include <gtest/gtest.h>

#include <cmath>
#include <cstdio>
#include <cstring>

#include "kernels/cuda/cuda_engine.h"
#include "tests/cuda/engine_pass.h"
#include "tests/gpu_day/far_out.h"
#include "tests/gpu_day/measure.h"
#include "tests/support/naive_transformer.h"

namespace longrope::gpu_day {
namespace {

// Largest difference of a pass's nats to double's, in units of what the type's rounding may cost.
double WorstOf(DType type, int head_dim, int64_t tokens, int64_t memory_bytes) {
  testing::EnginePass pass;
  pass.shape.layers = 3;
  pass.shape.head_dim = head_dim;
  pass.tokens = tokens;
  pass.stored = type;
  pass.factors.start_tokens = 4;
  pass.scope = KvScope::kOneLayer;
  const auto got = pass.On(*MakeCudaEngine(
      {.type = type, .memory_bytes = memory_bytes, .block_rows = 128, .threads = 1}));
  const auto expected = pass.InDouble();
  double worst = 0;
  for (size_t i = 0; i < expected.size(); ++i) {
    const double off = std::abs(got.nats[i] - expected[i]) / testing::PassBound(type, expected[i]);
    worst = std::isnan(worst) || off <= worst ? worst : off;  // a NaN counts
  }
  return worst;
}

int ComparePasses() {
  int wrong = 0;
  std::printf(
      "\n## Whole passes against double\n\n| type | head size | tokens | placement | worst, of "
      "allowed |\n|---|---:|---:|---|---:|\n");
  for (const auto& [type, name] : {std::pair(DType::kF32, "f32"), std::pair(DType::kF16, "f16"),
                                   std::pair(DType::kBF16, "bf16")}) {
    for (const int head_dim : {20, 64, 80, 96, 128}) {
      for (const int64_t memory : {int64_t{0}, int64_t{1}}) {
        const double worst = WorstOf(type, head_dim, 200, memory);
        wrong += worst <= 1 ? 0 : 1;
        std::printf("| %s | %d | 200 | %s | %.3f |\n", name, head_dim,
                    memory == 0 ? "all on the device" : "streamed and paged", worst);
      }
    }
  }
  return wrong;
}

int Run(bool small) {
  const Device device = CurrentDevice();
  std::printf(
      "# %s\n\n%s, %d processors, sm_%d%d, %.0f GB; dense bf16 peak at its highest clock %.0f "
      "TFLOP/s\n\n## Tests of kernels\n\n```\n",
      small ? "GPU day, tried out with tiny shapes: its times mean nothing" : "GPU day",
      device.name.c_str(), device.processors, device.major, device.minor, device.memory_gb,
      device.peak_tflops);
  std::fflush(stdout);
  int wrong = ::testing::RunAll();
  std::printf("```\n");
  wrong += ComparePasses();
  wrong += CompareFarOut(small);
  std::printf(
      "\n## Speed\n\n| shape | what | time | TFLOP/s | of the peak | memory "
      "|\n|---|---|---|---:|---:|---|\n");
  const std::vector<int64_t> lengths =
      small ? std::vector<int64_t>{256, 384}
            : std::vector<int64_t>{4096, 32768, 131072, 262144, 1048576};
  for (const NamedShape& model : Shapes(small)) {
    MeasureAttention(model, device, lengths);
    if (!small) MeasureProjections(model, device);
    MeasureLayers(model, device, lengths);
    std::fflush(stdout);
  }
  std::printf("\n%s\n", wrong == 0 ? "All is right." : "SOMETHING IS WRONG: see above.");
  return wrong == 0 ? 0 : 1;
}

}  // namespace
}  // namespace longrope::gpu_day

int main(int argc, char** argv) {
  try {
    return longrope::gpu_day::Run(argc > 1 && std::strcmp(argv[1], "--small") == 0);
  } catch (const std::exception& error) {
    std::printf("\nended by: %s\n", error.what());
    return 1;
  }
}
