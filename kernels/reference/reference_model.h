// Weights bound to the reference engine, and one sequence on them.
#pragma once

#include <memory>
#include <vector>

#include "kernels/buffer.h"
#include "kernels/engine.h"
#include "kernels/reference/block.h"

namespace longrope::reference {

// Elements that one thread's Scratch takes.
int64_t ScratchElements(const ModelShape& shape);

// A matrix in the engine's type: the stored view itself where it already has that type and the
// engine's order of rows, and stands on its boundary, else a converted copy.
template <class T>
class BoundMatrix {
 public:
  BoundMatrix() = default;
  BoundMatrix(TensorView view, int threads);
  const T* get() const { return copy_ ? copy_.get() : view_; }

 private:
  Buffer<T> copy_;
  const T* view_ = nullptr;
};

template <class T>
class ReferenceModel final : public Model {
 public:
  ReferenceModel(const ModelShape& shape, const WeightSource& weights,
                 const BlockKernels<T>& kernels, int threads);
  std::unique_ptr<Sequence> Open(std::span<const int32_t> tokens, const RopeTable& rope,
                                 KvScope scope) const override;

  const ModelShape& shape() const { return shape_; }
  const BlockKernels<T>& kernels() const { return kernels_; }
  int threads() const { return threads_; }
  TensorView embedding() const { return embedding_; }
  LayerWeights<T> Layer(int layer) const;
  const T* final_norm() const { return final_norm_.get(); }
  const T* head() const { return head_.get(); }

 private:
  ModelShape shape_;
  const BlockKernels<T>& kernels_;
  int threads_;
  TensorView embedding_;                // rows are converted as they are read
  std::vector<BoundMatrix<T>> layers_;  // kLayerRoles a layer, in their order
  BoundMatrix<T> final_norm_, head_;
};

template <class T>
class ReferenceSequence final : public Sequence {
 public:
  ReferenceSequence(const ReferenceModel<T>& model, std::span<const int32_t> tokens,
                    const RopeTable& rope, KvScope scope);
  void Extend(int layer, Rows rows) override;
  void Advance(int layer, Rows rows) override;
  void Score(Rows rows, std::span<const int32_t> targets, std::span<double> nats,
             std::span<uint8_t> likeliest) override;

  // Bytes of a sequence of `tokens` tokens on `threads` threads.
  static int64_t Bytes(const ModelShape& shape, int64_t tokens, KvScope scope, int threads);

 private:
  T* Keys(int layer) { return keys_.get() + LayerOffset(layer); }
  T* Values(int layer) { return values_.get() + LayerOffset(layer); }
  int64_t LayerOffset(int layer) const;
  T* Hidden(int64_t block) { return hidden_.get() + block * kBlockRows * shape_.hidden; }
  Rotation RotationOf(int64_t block) const;
  Scratch<T> ScratchOf(int worker);
  // Calls body(block, scratch) for every block of rows, in parallel.
  template <class Body>
  void ForBlocks(Rows rows, const Body& body);

  const ReferenceModel<T>& model_;
  const ModelShape& shape_;
  const RopeTable& rope_;
  int64_t tokens_, padded_;
  KvScope scope_;
  Buffer<T> hidden_, keys_, values_, scratch_;
};

}  // namespace longrope::reference
