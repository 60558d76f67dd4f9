// One document on its way through a model on a device.
#pragma once

#include <memory>

#include "kernels/cuda/cuda_model.h"
#include "kernels/cuda/gemm.h"
#include "kernels/cuda/ops.h"

namespace longrope::cuda {

// The layers of a model on the device, when they do not all fit: while one computes, the next is
// copied.
template <class T>
class LayerStream {
 public:
  explicit LayerStream(const CudaModel<T>& model);
  ~LayerStream() {
    cudaStreamSynchronize(copies_.get());
  }  // a copy may be under way to what is freed
  // The layer's matrices for what is started on `compute` after this call; starts the copy of the
  // layer after it, if `compute` is then done with the one before.
  const T* Use(int layer, const Stream& compute);

 private:
  struct Slot {
    DeviceArray<T> matrices;
    int layer = -1;
    Event copied;  // the layer is there
    Event used;    // nobody reads the one before it any more
  };
  Slot& Fetch(int layer);

  const CudaModel<T>& model_;
  Stream copies_;
  Slot slots_[2];
};

// cos and sin of a block of rows, through page-locked memory to the device.
class RotationStage {
 public:
  RotationStage(int64_t block_rows, int pairs);
  // Copies those of rows [begin, begin + rows) in the order of `stream`.
  void Load(const RopeTable& rope, int64_t begin, int64_t rows, const Stream& stream);
  const float* cos() const { return device_.get(); }
  const float* sin() const { return device_.get() + block_elements_; }

 private:
  int64_t block_elements_;
  DeviceArray<float> device_;  // cos, then sin
  PinnedArray<float> pinned_;  // two of them in turn
  Event copied_[2];
  int next_ = 0;
};

template <class T>
class CudaSequence final : public Sequence {
 public:
  // Throws DeviceError, std::invalid_argument. `block_rows`: rows computed at a time, a divisor of
  // the model's.
  CudaSequence(const CudaModel<T>& model, std::span<const int32_t> tokens, const RopeTable& rope,
               KvScope scope, int64_t block_rows);
  ~CudaSequence() override;

  void Extend(int layer, Rows rows) override;
  void Advance(int layer, Rows rows) override;
  void Score(Rows rows, std::span<const int32_t> targets, std::span<double> nats,
             std::span<uint8_t> likeliest) override;
  void Wait() override { stream_.Wait(); }

 private:
  struct Block {
    int64_t begin, rows;  // that exist; products are over block_rows_ of them, so that a row's bits
                          // do not depend on how many follow it
  };
  // Calls body(block) for every block of rows, in order.
  template <class Body>
  void ForBlocks(Rows rows, const Body& body);
  const T* Layer(int layer);
  // The hidden states of a block on the device: in place, or fetched.
  T* FetchHidden(const Block& block);
  void KeepHidden(const Block& block);
  T* Keys(int layer);
  T* Values(int layer);
  void Attention(int layer, const LayerMatrices<T>& matrices, const Block& block, T* hidden);
  void FeedForward(int layer, const LayerMatrices<T>& matrices, const Block& block, T* hidden);
  void ScoreBlock(const Block& block, std::span<const int32_t> targets, std::span<double> nats,
                  uint8_t* likeliest);

  const CudaModel<T>& model_;
  const ModelShape& shape_;
  const RopeTable& rope_;
  int64_t tokens_, block_rows_, padded_;
  KvScope scope_;
  Stream stream_;
  Gemm gemm_;
  RotationStage rotations_;
  std::unique_ptr<LayerStream<T>> layers_;  // nullptr where all are on the device
  DeviceArray<int32_t> ids_;
  DeviceArray<T> hidden_;         // [padded, hidden], or a block of it
  PinnedArray<T> pinned_hidden_;  // [padded, hidden] where it does not stay on the device
  DeviceArray<T> keys_;           // of every layer in scope: keys, then values, [padded, kv width]
  DeviceArray<T> normed_, wide_;  // of a block: [hidden]; two of the wider of query and ffn
  DeviceArray<float> logits_;
  DeviceArray<HeadState> head_;
  DeviceArray<int32_t> targets_;
  DeviceArray<float> nats_;
  DeviceArray<uint8_t> likeliest_;
  PinnedArray<int32_t> host_targets_;
  PinnedArray<float> host_nats_;
  PinnedArray<uint8_t> host_likeliest_;
};

}  // namespace longrope::cuda
