#include "tests/support/random_weights.h"

#include <bit>
#include <cmath>
#include <cstring>

#include "tests/support/half.h"

namespace longrope::testing {
namespace {

uint16_t BitsOf(float value, DType dtype) {
  if (dtype == DType::kBF16) return static_cast<uint16_t>(std::bit_cast<uint32_t>(value) >> 16);
  return HalfOfFloat(value);
}

}  // namespace

ModelShape SmolLm2Shape(int layers) {
  return {.layers = layers,
          .hidden = 576,
          .heads = 9,
          .kv_heads = 3,
          .head_dim = 64,
          .ffn = 1536,
          .vocab = 49152,
          .norm_epsilon = 1e-5f,
          .sliding_window = 0};
}

RandomWeights::RandomWeights(const ModelShape& s, const RandomWeightsOptions& options)
    : options_(options), state_(options.seed) {
  const int64_t query = int64_t{s.heads} * s.head_dim, kv = int64_t{s.kv_heads} * s.head_dim;
  Draw({WeightRole::kEmbedding, 0}, s.vocab, s.hidden);
  Draw({WeightRole::kHead, 0}, s.vocab, s.hidden);
  Draw({WeightRole::kFinalNorm, 0}, 1, s.hidden);
  for (int layer = 0; layer < s.layers; ++layer) {
    Draw({WeightRole::kInputNorm, layer}, 1, s.hidden);
    Draw({WeightRole::kQuery, layer}, query, s.hidden);
    Draw({WeightRole::kKey, layer}, kv, s.hidden);
    Draw({WeightRole::kValue, layer}, kv, s.hidden);
    Draw({WeightRole::kOutput, layer}, s.hidden, query);
    Draw({WeightRole::kFfnNorm, layer}, 1, s.hidden);
    Draw({WeightRole::kGate, layer}, s.ffn, s.hidden);
    Draw({WeightRole::kUp, layer}, s.ffn, s.hidden);
    Draw({WeightRole::kDown, layer}, s.hidden, s.ffn);
  }
}

void RandomWeights::Draw(Key key, int64_t rows, int64_t cols) {
  Tensor tensor{{}, rows, cols};
  tensor.bytes.resize(static_cast<size_t>(rows * cols * SizeOf(options_.dtype)));
  for (int64_t i = 0; i < rows * cols; ++i) {
    state_ = state_ * 1664525u + 1013904223u;
    const double unit = static_cast<double>(state_ >> 8) * 0x1p-23 - 1;
    double value = options_.scale * unit + (rows == 1 ? 1 : 0);
    if (options_.outliers && i % cols % 29 == 3) value *= rows == 1 ? 30 : 5;
    const auto number = static_cast<float>(value);
    std::byte* to = tensor.bytes.data() + i * SizeOf(options_.dtype);
    if (options_.dtype == DType::kF32) {
      std::memcpy(to, &number, 4);
    } else {
      const uint16_t bits = BitsOf(number, options_.dtype);
      std::memcpy(to, &bits, 2);
    }
  }
  tensors_.emplace(key, std::move(tensor));
}

RandomWeights::Key RandomWeights::KeyOf(WeightRole role, int layer) {
  const bool whole =
      role == WeightRole::kEmbedding || role == WeightRole::kHead || role == WeightRole::kFinalNorm;
  return {role, whole ? 0 : layer};
}

TensorView RandomWeights::Get(WeightRole role, int layer) const {
  const Tensor& tensor = tensors_.at(KeyOf(role, layer));
  return {tensor.bytes.data(), options_.dtype, tensor.rows, tensor.cols};
}

float* RandomWeights::Mutable(WeightRole role, int layer, int64_t index) {
  return reinterpret_cast<float*>(tensors_.at(KeyOf(role, layer)).bytes.data()) + index;
}

}  // namespace longrope::testing
