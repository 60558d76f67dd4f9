// Weights on one device, and where the rest of them lies.
#pragma once

#include <atomic>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>

#include "kernels/cuda/memory.h"
#include "kernels/cuda/memory_plan.h"
#include "kernels/engine.h"

namespace longrope::cuda {

// Matrices of a layer, [outputs, inputs] as in weights.h, on the device.
template <class T>
struct LayerMatrices {
  const T *query, *key, *value, *output, *gate, *up, *down;
};

// T as in ops.h. Thread-safe, as Model.
template <class T>
class CudaModel final : public Model {
 public:
  // Converts with `threads` threads of the host and uploads. `report` is told what does not go as
  // asked; it may be empty and is called by whoever opens a sequence. Throws std::invalid_argument
  // for weights that do not fit the shape, DeviceError.
  CudaModel(int device, const PassShape& pass, const Placement& where, const WeightSource& weights,
            int threads, std::function<void(const std::string&)> report);

  // If the device's memory ends before a sequence is opened, it is tried with half the rows of a
  // block, down to 128, as are those after it. That is reported: results may then differ in their
  // last bits.
  std::unique_ptr<Sequence> Open(std::span<const int32_t> tokens, const RopeTable& rope,
                                 KvScope scope) const override;

  int device() const { return device_; }
  const PassShape& pass() const { return pass_; }
  const Placement& where() const { return where_; }
  const T* embedding() const { return embedding_.get(); }
  const T* head() const { return pass_.tied_head ? embedding_.get() : head_.get(); }
  const float* input_norm(int layer) const { return Norm(2 * layer); }
  const float* ffn_norm(int layer) const { return Norm(2 * layer + 1); }
  const float* final_norm() const { return Norm(2 * pass_.model.layers); }
  // All matrices of a layer, one after the other: on the device, or in page-locked memory.
  const T* Layer(int layer) const {
    return (where_.weights ? layers_.get() : pinned_layers_.get()) +
           layer * LayerElements(pass_.model);
  }
  // Those of a layer at `layer` on the device.
  LayerMatrices<T> MatricesAt(const T* layer) const;

 private:
  TensorView Weight(const WeightSource& weights, WeightRole role, int layer) const {
    return CheckedWeight(weights, role, layer, pass_.model);
  }
  const float* Norm(int index) const { return norms_.get() + index * pass_.model.hidden; }
  void BindLayers(const WeightSource& weights, int threads);
  void BindNorms(const WeightSource& weights);

  int device_;
  PassShape pass_;
  Placement where_;
  std::function<void(const std::string&)> report_;
  DeviceArray<T> embedding_, head_, layers_;
  PinnedArray<T> pinned_layers_;
  DeviceArray<float> norms_;  // of the layers, two each, then the final one
  mutable std::atomic<int64_t> block_rows_;
};

}  // namespace longrope::cuda
