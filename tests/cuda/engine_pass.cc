#include "tests/cuda/engine_pass.h"

#include <algorithm>
#include <span>

#include "eval/rope_builder.h"
#include "tests/support/naive_transformer.h"

namespace longrope::testing {

namespace {
constexpr double kBase = 10000;
}

RopeFactors EnginePass::Filled() const {
  RopeFactors filled = factors;
  const int pairs = shape.head_dim / 2;
  for (int i = 0; i < pairs; ++i) {
    filled.lambda.push_back(1 + 3 * static_cast<float>(i) / static_cast<float>(pairs));
  }
  return filled;
}

RopeTable EnginePass::Table(int64_t positions) const {
  return BuildRopeTable(Filled(), {shape.head_dim, kBase, 0}, positions, 1);
}

RandomWeights EnginePass::Weights() const {
  return RandomWeights(shape, {.dtype = stored, .scale = 0.15, .outliers = outliers});
}

std::vector<double> EnginePass::InDouble() const {
  return NaiveNats(shape, Weights(), Ids(), Filled(), kBase);
}

PassResult EnginePass::On(const Engine& engine) const { return On(engine, Weights()); }

std::vector<int32_t> RandomIds(int64_t count, int vocab) {
  std::vector<int32_t> ids;
  uint32_t state = 5;
  for (int64_t i = 0; i < count; ++i) {
    state = state * 1664525u + 1013904223u;
    ids.push_back(static_cast<int32_t>((state >> 8) % static_cast<uint32_t>(vocab)));
  }
  return ids;
}

std::vector<int32_t> EnginePass::Ids() const { return RandomIds(tokens + 1, shape.vocab); }

PassResult EnginePass::On(const Engine& engine, const WeightSource& weights) const {
  const std::vector<int32_t> ids = Ids();
  const auto model = engine.Bind(shape, weights, tokens);
  const RopeTable rope = Table(tokens);
  const auto count = static_cast<size_t>(tokens);
  const auto sequence = model->Open(std::span(ids).first(count), rope, scope);
  PassResult result{std::vector<double>(count), std::vector<uint8_t>(count)};
  const int64_t step = chunk > 0 ? chunk : tokens;
  const auto for_chunks = [&](const auto& body) {
    for (int64_t begin = 0; begin < tokens; begin += step) {
      body(Rows{begin, std::min(tokens, begin + step)});
    }
  };
  const auto score = [&](Rows rows) {
    const auto begin = static_cast<size_t>(rows.begin);
    const auto length = static_cast<size_t>(rows.end - rows.begin);
    sequence->Score(rows, std::span(ids).subspan(begin + 1, length),
                    std::span(result.nats).subspan(begin, length),
                    std::span(result.likeliest).subspan(begin, length));
  };
  const auto pass_layer = [&](int layer, Rows rows) {
    sequence->Extend(layer, rows);
    sequence->Advance(layer, rows);
  };
  if (scope == KvScope::kAllLayers) {
    for_chunks([&](Rows rows) {
      for (int layer = 0; layer < shape.layers; ++layer) pass_layer(layer, rows);
      score(rows);
    });
  } else {
    for (int layer = 0; layer < shape.layers; ++layer) {
      for_chunks([&](Rows rows) { pass_layer(layer, rows); });
    }
    for_chunks(score);
  }
  return result;
}

}  // namespace longrope::testing
