#include "kernels/cuda/cuda_model.h"

#include <algorithm>
#include <cstring>
#include <span>
#include <stdexcept>
#include <vector>

#include "kernels/cuda/cuda_sequence.h"
#include "kernels/cuda/ops.h"
#include "kernels/load_row.h"
#include "kernels/parallel.h"

namespace longrope::cuda {
namespace {

template <class T>
T FromFloatHost(float value) {
  if constexpr (std::is_same_v<T, __half>) return __float2half_rn(value);
  if constexpr (std::is_same_v<T, __nv_bfloat16>) return __float2bfloat16_rn(value);
  if constexpr (std::is_same_v<T, float>) return value;
}

template <class T>
constexpr DType StoredAs() {
  return std::is_same_v<T, float>    ? DType::kF32
         : std::is_same_v<T, __half> ? DType::kF16
                                     : DType::kBF16;
}

// The stored numbers as T.
template <class T>
void Convert(const TensorView& view, T* out, int threads) {
  const bool same = view.dtype == StoredAs<T>();
  std::vector<float> rows(static_cast<size_t>(same ? 0 : threads * view.cols));  // one a worker
  ParallelFor(view.rows, threads, [&](int64_t row, int worker) {
    T* to = out + row * view.cols;
    if (same) {
      std::memcpy(to, StoredRow(view, row), static_cast<size_t>(view.cols) * sizeof(T));
      return;
    }
    float* numbers = rows.data() + worker * view.cols;
    LoadRow(view, row, numbers);
    for (int64_t i = 0; i < view.cols; ++i) to[i] = FromFloatHost<T>(numbers[i]);
  });
}

template <class T>
DeviceArray<T> Uploaded(const TensorView& view, int threads) {
  const int64_t count = view.rows * view.cols;
  std::vector<T> converted(static_cast<size_t>(count));
  Convert(view, converted.data(), threads);
  DeviceArray<T> array(count);
  Upload(array.get(), converted.data(), count);
  return array;
}

}  // namespace

template <class T>
CudaModel<T>::CudaModel(int device, const PassShape& pass, const Placement& where,
                        const WeightSource& weights, int threads,
                        std::function<void(const std::string&)> report)
    : device_(device),
      pass_(pass),
      where_(where),
      report_(std::move(report)),
      block_rows_(pass.block_rows) {
  UseDevice(device);
  embedding_ = Uploaded<T>(Weight(weights, WeightRole::kEmbedding, 0), threads);
  const TensorView head = Weight(weights, WeightRole::kHead, 0);
  if (!pass_.tied_head) head_ = Uploaded<T>(head, threads);
  BindNorms(weights);
  BindLayers(weights, threads);
}

template <class T>
void CudaModel<T>::BindNorms(const WeightSource& weights) {
  std::vector<float> norms;
  const auto add = [&](WeightRole role, int layer) {
    const TensorView view = Weight(weights, role, layer);
    const size_t at = norms.size();
    norms.resize(at + static_cast<size_t>(view.cols));
    LoadRow(view, 0, norms.data() + at);
  };
  for (int layer = 0; layer < pass_.model.layers; ++layer) {
    add(WeightRole::kInputNorm, layer);
    add(WeightRole::kFfnNorm, layer);
  }
  add(WeightRole::kFinalNorm, 0);
  norms_ = DeviceArray<float>(static_cast<int64_t>(norms.size()));
  Upload(norms_.get(), norms.data(), static_cast<int64_t>(norms.size()));
}

template <class T>
void CudaModel<T>::BindLayers(const WeightSource& weights, int threads) {
  const ModelShape& s = pass_.model;
  const int64_t elements = LayerElements(s);
  if (where_.weights) {
    layers_ = DeviceArray<T>(s.layers * elements);
  } else {
    pinned_layers_ = PinnedArray<T>(s.layers * elements);
  }
  std::vector<T> converted(static_cast<size_t>(where_.weights ? elements : 0));
  for (int layer = 0; layer < s.layers; ++layer) {
    T* out = where_.weights ? converted.data() : pinned_layers_.get() + layer * elements;
    for (const WeightRole role : kLayerMatrices) {
      Convert(Weight(weights, role, layer), out, threads);
      out += MatrixElements(WeightSize(role, s));
    }
    if (where_.weights) Upload(layers_.get() + layer * elements, converted.data(), elements);
  }
}

template <class T>
LayerMatrices<T> CudaModel<T>::MatricesAt(const T* layer) const {
  const T* at[7];
  size_t i = 0;
  for (const WeightRole role : kLayerMatrices) {
    at[i++] = layer;
    layer += MatrixElements(WeightSize(role, pass_.model));
  }
  return {at[0], at[1], at[2], at[3], at[4], at[5], at[6]};
}

template <class T>
std::unique_ptr<Sequence> CudaModel<T>::Open(std::span<const int32_t> tokens, const RopeTable& rope,
                                             KvScope scope) const {
  UseDevice(device_);
  for (;;) {
    int64_t block = block_rows_;
    try {
      return std::make_unique<CudaSequence<T>>(*this, tokens, rope, scope, block);
    } catch (const DeviceError& error) {
      if (error.kind() != DeviceError::Kind::kOutOfMemory || block / 2 < kMinBlockRows) throw;
      // Unless another thread has done so meanwhile.
      if (block_rows_.compare_exchange_strong(block, block / 2) && report_) {
        report_("memory does not hold blocks of " + std::to_string(block) +
                " rows; going on with " + std::to_string(block / 2) + " (" + error.what() + ")");
      }
    }
  }
}

template class CudaModel<float>;
template class CudaModel<__half>;
template class CudaModel<__nv_bfloat16>;

}  // namespace longrope::cuda
