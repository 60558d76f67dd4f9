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

ModelShape Llama2Shape() {
  return {.layers = 32,
          .hidden = 4096,
          .heads = 32,
          .kv_heads = 32,
          .head_dim = 128,
          .ffn = 11008,
          .vocab = 32000};
}

ModelShape MistralShape() {
  ModelShape shape = Llama2Shape();
  shape.kv_heads = 8;
  shape.ffn = 14336;
  return shape;
}

RandomWeights::RandomWeights(const ModelShape& s, const RandomWeightsOptions& options)
    : options_(options), state_(options.seed) {
  const auto draw = [&](WeightRole role, int layer) {
    const MatrixSize size = WeightSize(role, s);
    Draw({role, layer}, size.rows, size.cols);
  };
  draw(WeightRole::kEmbedding, 0);
  draw(WeightRole::kHead, 0);
  draw(WeightRole::kFinalNorm, 0);
  for (int layer = 0; layer < s.layers; ++layer) {
    for (const WeightRole role : kLayerRoles) draw(role, layer);
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
