// Weights of any shape, random.
#pragma once

#include <cstdint>
#include <map>
#include <utility>
#include <vector>

#include "kernels/weights.h"

namespace longrope::testing {

struct RandomWeightsOptions {
  uint32_t seed = 1;
  DType dtype = DType::kF32;
  double scale = 0.3;     // matrices are uniform in [-scale, scale], norms in 1 +- scale
  bool outliers = false;  // some input channels are a hundred times larger, as in trained models
};

// SmolLM2-135M's shape, whose 30 layers are cut to so many: a size where memory and time matter.
ModelShape SmolLm2Shape(int layers);
// Of LLaMA-2-7B and Mistral-7B, without their windows.
ModelShape Llama2Shape();
ModelShape MistralShape();

// Thread-safe once made. Every tensor is drawn when the source is made.
class RandomWeights final : public WeightSource {
 public:
  RandomWeights(const ModelShape& shape, const RandomWeightsOptions& options);
  TensorView Get(WeightRole role, int layer) const override;
  // Element of a tensor, as a test wants to spoil it. float32 only.
  float* Mutable(WeightRole role, int layer, int64_t index);

 private:
  using Key = std::pair<WeightRole, int>;
  struct Tensor {
    std::vector<std::byte> bytes;
    int64_t rows, cols;
  };
  void Draw(Key key, int64_t rows, int64_t cols);
  static Key KeyOf(WeightRole role, int layer);

  RandomWeightsOptions options_;
  uint32_t state_;
  std::map<Key, Tensor> tensors_;
};

}  // namespace longrope::testing
