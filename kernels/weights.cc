#include "kernels/weights.h"

#include <stdexcept>
#include <string>

namespace longrope {
namespace {

const char* NameOf(WeightRole role) {
  switch (role) {
    case WeightRole::kEmbedding:
      return "embedding";
    case WeightRole::kInputNorm:
      return "input norm";
    case WeightRole::kQuery:
      return "query";
    case WeightRole::kKey:
      return "key";
    case WeightRole::kValue:
      return "value";
    case WeightRole::kOutput:
      return "output";
    case WeightRole::kFfnNorm:
      return "ffn norm";
    case WeightRole::kGate:
      return "gate";
    case WeightRole::kUp:
      return "up";
    case WeightRole::kDown:
      return "down";
    case WeightRole::kFinalNorm:
      return "final norm";
    case WeightRole::kHead:
      return "head";
  }
  throw std::logic_error("unknown weight role");
}

}  // namespace

const char* NameOf(DType type) {
  constexpr const char* kNames[] = {"f32",  "f16",  "bf16", "q4_0", "q4_1", "q5_0",
                                    "q5_1", "q8_0", "q4_k", "q5_k", "q6_k"};
  return kNames[static_cast<size_t>(type)];
}

MatrixSize WeightSize(WeightRole role, const ModelShape& s) {
  switch (role) {
    case WeightRole::kEmbedding:
    case WeightRole::kHead:
      return {s.vocab, s.hidden};
    case WeightRole::kInputNorm:
    case WeightRole::kFfnNorm:
    case WeightRole::kFinalNorm:
      return {1, s.hidden};
    case WeightRole::kQuery:
      return {s.QueryWidth(), s.hidden};
    case WeightRole::kKey:
    case WeightRole::kValue:
      return {s.KvWidth(), s.hidden};
    case WeightRole::kOutput:
      return {s.hidden, s.QueryWidth()};
    case WeightRole::kGate:
    case WeightRole::kUp:
      return {s.ffn, s.hidden};
    case WeightRole::kDown:
      return {s.hidden, s.ffn};
  }
  throw std::logic_error("unknown weight role");
}

TensorView CheckedWeight(const WeightSource& weights, WeightRole role, int layer,
                         const ModelShape& shape) {
  const TensorView view = weights.Get(role, layer);
  const MatrixSize size = WeightSize(role, shape);
  if (view.rows != size.rows || view.cols != size.cols || view.data == nullptr) {
    throw std::invalid_argument(std::string(NameOf(role)) + " is [" + std::to_string(view.rows) +
                                ", " + std::to_string(view.cols) + "], expected [" +
                                std::to_string(size.rows) + ", " + std::to_string(size.cols) + "]");
  }
  return view;
}

}  // namespace longrope
