// The engine on one layer of SmolLM2-135M's shape, by instruction set and place in the sequence;
// the head; the table of rotations. Rates are floating-point operations and tokens a second.
// Compare rows of one run only: longrope_bench --benchmark_enable_random_interleaving
// --benchmark_repetitions=5
#include <benchmark/benchmark.h>

#include <memory>

#include "eval/rope_builder.h"
#include "kernels/reference/reference_engine.h"
#include "tests/support/random_weights.h"

namespace longrope {
namespace {

constexpr int64_t kRows = 1024;  // computed in one call

const ModelShape& Shape() {
  static const ModelShape shape = testing::SmolLm2Shape(1);
  return shape;
}

// Additions and multiplications of the matrix products of one row through one layer.
double ProductFlops() {
  const ModelShape& s = Shape();
  const double query = s.heads * s.head_dim, kv = s.kv_heads * s.head_dim;
  return 2.0 * s.hidden * (2 * query + 2 * kv + 3.0 * s.ffn);
}

// Of the attention of rows [begin, begin + kRows), as causality needs them.
double AttentionFlops(double begin) {
  return 4.0 * Shape().heads * Shape().head_dim * kRows * (begin + kRows / 2.0);
}

std::unique_ptr<Engine> EngineOf(int64_t isa) {
  using Isa = ReferenceOptions::Isa;
  return MakeReferenceEngine<float>({.threads = 0, .isa = isa == 3 ? Isa::kX8664V3 : Isa::kX8664});
}

RopeFactors Factors() { return {std::vector<float>(32, 8.0f), 4, 1.1}; }

struct Bound {
  std::unique_ptr<Engine> engine;
  testing::RandomWeights weights{Shape(), {.seed = 1, .scale = 0.04}};
  std::unique_ptr<Model> model;
  std::vector<int32_t> tokens;
  RopeTable table;
  std::unique_ptr<Sequence> sequence;

  Bound(int64_t isa, int64_t length) : engine(EngineOf(isa)) {
    model = engine->Bind(Shape(), weights, INT64_MAX);
    tokens.assign(static_cast<size_t>(length), 1);
    table = BuildRopeTable(Factors(), {64, 100000, 8192}, length, engine->Threads());
    sequence = model->Open(tokens, table, KvScope::kOneLayer);
  }
};

// Arguments: x86-64 level (1 or 3), position of the first row.
void Layer(benchmark::State& state) {
  const int64_t begin = state.range(1);
  Bound bound(state.range(0), begin + kRows);
  for (int64_t row = 0; row < begin; row += kRows) bound.sequence->Extend(0, {row, row + kRows});
  for (auto _ : state) {
    bound.sequence->Extend(0, {begin, begin + kRows});
    bound.sequence->Advance(0, {begin, begin + kRows});
  }
  const auto rounds = static_cast<double>(state.iterations());
  const double flops = kRows * ProductFlops() + AttentionFlops(static_cast<double>(begin));
  state.counters["flop/s"] = benchmark::Counter(rounds * flops, benchmark::Counter::kIsRate);
  state.counters["tokens/s"] = benchmark::Counter(rounds * kRows, benchmark::Counter::kIsRate);
  state.SetLabel(std::string(bound.engine->name()));
}
BENCHMARK(Layer)
    ->ArgsProduct({{1, 3}, {0, 7168, 31744}})
    ->UseRealTime()
    ->Unit(benchmark::kMillisecond);

// The second number: is it asked which targets are the likeliest?
void Head(benchmark::State& state) {
  Bound bound(state.range(0), kRows);
  const std::vector<int32_t> targets(kRows, 7);
  std::vector<double> nats(kRows);
  std::vector<uint8_t> likeliest(state.range(1) == 0 ? 0 : kRows);
  for (auto _ : state) bound.sequence->Score({0, kRows}, targets, nats, likeliest);
  const auto rounds = static_cast<double>(state.iterations());
  const double flops = 2.0 * Shape().hidden * Shape().vocab * kRows;
  state.counters["flop/s"] = benchmark::Counter(rounds * flops, benchmark::Counter::kIsRate);
  state.counters["tokens/s"] = benchmark::Counter(rounds * kRows, benchmark::Counter::kIsRate);
  state.SetLabel(std::string(bound.engine->name()));
}
BENCHMARK(Head)->ArgsProduct({{1, 3}, {0, 1}})->UseRealTime()->Unit(benchmark::kMillisecond);

void RopeTableOf64k(benchmark::State& state) {
  for (auto _ : state) {
    benchmark::DoNotOptimize(BuildRopeTable(Factors(), {64, 100000, 8192}, 65536, 2).cos.data());
  }
}
BENCHMARK(RopeTableOf64k)->UseRealTime()->Unit(benchmark::kMillisecond);

}  // namespace
}  // namespace longrope
