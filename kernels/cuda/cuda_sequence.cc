#include "kernels/cuda/cuda_sequence.h"

#include <algorithm>

#include "kernels/round_up.h"
#include "kernels/sequence_checks.h"

namespace longrope::cuda {
template <class T>
LayerStream<T>::LayerStream(const CudaModel<T>& model) : model_(model) {
  for (Slot& slot : slots_) slot.matrices = DeviceArray<T>(LayerElements(model.pass().model));
}

template <class T>
typename LayerStream<T>::Slot& LayerStream<T>::Fetch(int layer) {
  Slot& slot = slots_[layer % 2];
  if (slot.layer == layer) return slot;
  slot.used.LetWait(copies_);
  CopyAsync(slot.matrices.get(), model_.Layer(layer), LayerElements(model_.pass().model), copies_);
  slot.copied.Record(copies_);
  slot.layer = layer;
  return slot;
}

template <class T>
const T* LayerStream<T>::Use(int layer, const Stream& compute) {
  // Where the layer was not fetched ahead, `compute` may still read what its slot holds.
  if (slots_[layer % 2].layer != layer) slots_[layer % 2].used.Record(compute);
  Slot& slot = Fetch(layer);
  slot.copied.LetWait(compute);
  // What `compute` was given so far reads the other slot's layer; from here on it reads this one.
  slots_[(layer + 1) % 2].used.Record(compute);
  if (layer + 1 < model_.pass().model.layers) Fetch(layer + 1);
  return slot.matrices.get();
}

RotationStage::RotationStage(int64_t block_rows, int pairs)
    : block_elements_(block_rows * pairs),
      device_(2 * block_elements_),
      pinned_(4 * block_elements_) {}

void RotationStage::Load(const RopeTable& rope, int64_t begin, int64_t rows, const Stream& stream) {
  const int64_t count = rows * rope.pairs, at = begin * rope.pairs;
  float* staged = pinned_.get() + 2 * next_ * block_elements_;
  copied_[next_].Wait();  // the copy that read it two blocks ago
  std::copy_n(rope.cos.data() + at, count, staged);
  std::copy_n(rope.sin.data() + at, count, staged + block_elements_);
  CopyAsync(device_.get(), staged, count, stream);
  CopyAsync(device_.get() + block_elements_, staged + block_elements_, count, stream);
  copied_[next_].Record(stream);
  next_ = 1 - next_;
}

template <class T>
CudaSequence<T>::CudaSequence(const CudaModel<T>& model, std::span<const int32_t> tokens,
                              const RopeTable& rope, KvScope scope, int64_t block_rows)
    : model_(model),
      shape_(model.pass().model),
      rope_(rope),
      tokens_(static_cast<int64_t>(tokens.size())),
      block_rows_(block_rows),
      padded_(RoundUp(tokens_, block_rows)),
      scope_(scope),
      gemm_(stream_),
      rotations_(block_rows, shape_.head_dim / 2),
      ids_(padded_),
      keys_((scope == KvScope::kAllLayers ? shape_.layers : 1) * 2 * padded_ * shape_.KvWidth()),
      normed_(block_rows * shape_.hidden),
      wide_(2 * block_rows * WideWidth(shape_)),
      logits_(block_rows * std::min<int64_t>(kVocabTile, shape_.vocab)),
      head_(block_rows),
      targets_(block_rows),
      nats_(block_rows),
      likeliest_(block_rows),
      host_targets_(block_rows),
      host_nats_(block_rows),
      host_likeliest_(block_rows) {
  CheckTokens(tokens, rope, shape_);
  if (model.where().hidden) {
    hidden_ = DeviceArray<T>(padded_ * shape_.hidden);
  } else {
    hidden_ = DeviceArray<T>(block_rows_ * shape_.hidden);
    pinned_hidden_ = PinnedArray<T>(padded_ * shape_.hidden);
  }
  if (!model.where().weights) layers_ = std::make_unique<LayerStream<T>>(model);
  Upload(ids_.get(), tokens.data(), tokens_);
}

template <class T>
CudaSequence<T>::~CudaSequence() {
  const OnDevice on(model_.device());    // if it is lost, nothing runs
  cudaStreamSynchronize(stream_.get());  // what still runs uses what is freed next
}

template <class T>
template <class Body>
void CudaSequence<T>::ForBlocks(Rows rows, const Body& body) {
  CheckRows(rows, block_rows_, tokens_);
  UseDevice(model_.device());
  for (int64_t begin = rows.begin; begin < rows.end; begin += block_rows_) {
    body(Block{begin, std::min(block_rows_, rows.end - begin)});
  }
}

template <class T>
const T* CudaSequence<T>::Layer(int layer) {
  return layers_ ? layers_->Use(layer, stream_) : model_.Layer(layer);
}

template <class T>
T* CudaSequence<T>::Keys(int layer) {
  const int64_t index = scope_ == KvScope::kAllLayers ? layer : 0;
  return keys_.get() + index * 2 * padded_ * shape_.KvWidth();
}

template <class T>
T* CudaSequence<T>::Values(int layer) {
  return Keys(layer) + padded_ * shape_.KvWidth();
}

template <class T>
T* CudaSequence<T>::FetchHidden(const Block& block) {
  if (model_.where().hidden) return hidden_.get() + block.begin * shape_.hidden;
  CopyAsync(hidden_.get(), pinned_hidden_.get() + block.begin * shape_.hidden,
            block.rows * shape_.hidden, stream_);
  return hidden_.get();
}

template <class T>
void CudaSequence<T>::KeepHidden(const Block& block) {
  if (model_.where().hidden) return;
  CopyAsync(pinned_hidden_.get() + block.begin * shape_.hidden, hidden_.get(),
            block.rows * shape_.hidden, stream_);
}

template <class T>
void CudaSequence<T>::Extend(int layer, Rows rows) {
  const LayerMatrices<T> matrices = model_.MatricesAt(Layer(layer));
  ForBlocks(rows, [&](const Block& block) {
    T* hidden = nullptr;
    if (layer == 0) {
      hidden = model_.where().hidden ? hidden_.get() + block.begin * shape_.hidden : hidden_.get();
      Embed(hidden, model_.embedding(), ids_.get() + block.begin, block.rows, shape_.hidden,
            stream_.get());
      KeepHidden(block);
    } else {
      hidden = FetchHidden(block);
    }
    rotations_.Load(rope_, block.begin, block.rows, stream_);
    RmsNorm(normed_.get(), hidden, model_.input_norm(layer), block.rows, shape_.hidden,
            shape_.norm_epsilon, stream_.get());
    T* keys = Keys(layer) + block.begin * shape_.KvWidth();
    T* values = Values(layer) + block.begin * shape_.KvWidth();
    gemm_.Project(keys, normed_.get(), matrices.key, block_rows_, shape_.hidden, shape_.KvWidth());
    gemm_.Project(values, normed_.get(), matrices.value, block_rows_, shape_.hidden,
                  shape_.KvWidth());
    Rotate(keys, rotations_.cos(), rotations_.sin(), block.rows, shape_.kv_heads, rope_.pairs,
           stream_.get());
  });
}

template <class T>
void CudaSequence<T>::Advance(int layer, Rows rows) {
  const LayerMatrices<T> matrices = model_.MatricesAt(Layer(layer));
  ForBlocks(rows, [&](const Block& block) {
    T* hidden = FetchHidden(block);
    Attention(layer, matrices, block, hidden);
    FeedForward(layer, matrices, block, hidden);
    KeepHidden(block);
  });
}

template <class T>
void CudaSequence<T>::Attention(int layer, const LayerMatrices<T>& matrices, const Block& block,
                                T* hidden) {
  T* query = wide_.get();
  T* attended = query + block_rows_ * WideWidth(shape_);
  rotations_.Load(rope_, block.begin, block.rows, stream_);
  RmsNorm(normed_.get(), hidden, model_.input_norm(layer), block.rows, shape_.hidden,
          shape_.norm_epsilon, stream_.get());
  gemm_.Project(query, normed_.get(), matrices.query, block_rows_, shape_.hidden,
                shape_.QueryWidth());
  Rotate(query, rotations_.cos(), rotations_.sin(), block.rows, shape_.heads, rope_.pairs,
         stream_.get());
  const AttentionArguments<T> arguments = {attended,
                                           query,
                                           Keys(layer),
                                           Values(layer),
                                           static_cast<int>(block.rows),
                                           static_cast<int>(block.begin),
                                           static_cast<int>(shape_.sliding_window),
                                           shape_.heads,
                                           shape_.kv_heads,
                                           shape_.head_dim};
  Attend(arguments, stream_.get());
  gemm_.Project(hidden, attended, matrices.output, block_rows_, shape_.QueryWidth(), shape_.hidden,
                /*add=*/true);
}

template <class T>
void CudaSequence<T>::FeedForward(int layer, const LayerMatrices<T>& matrices, const Block& block,
                                  T* hidden) {
  T* gate = wide_.get();
  T* up = gate + block_rows_ * WideWidth(shape_);
  RmsNorm(normed_.get(), hidden, model_.ffn_norm(layer), block.rows, shape_.hidden,
          shape_.norm_epsilon, stream_.get());
  gemm_.Project(gate, normed_.get(), matrices.gate, block_rows_, shape_.hidden, shape_.ffn);
  gemm_.Project(up, normed_.get(), matrices.up, block_rows_, shape_.hidden, shape_.ffn);
  SwiGlu(gate, up, block.rows * shape_.ffn, stream_.get());
  gemm_.Project(hidden, gate, matrices.down, block_rows_, shape_.ffn, shape_.hidden, /*add=*/true);
}

template <class T>
void CudaSequence<T>::Score(Rows rows, std::span<const int32_t> targets, std::span<double> nats,
                            std::span<uint8_t> likeliest) {
  CheckScores(rows, targets, nats, likeliest);
  ForBlocks(rows, [&](const Block& block) {
    const auto first = static_cast<size_t>(block.begin - rows.begin);
    const auto count = static_cast<size_t>(block.rows);
    ScoreBlock(block, targets.subspan(first, count), nats.subspan(first, count),
               likeliest.empty() ? nullptr : likeliest.data() + first);
  });
}

template <class T>
void CudaSequence<T>::ScoreBlock(const Block& block, std::span<const int32_t> targets,
                                 std::span<double> nats, uint8_t* likeliest) {
  if (FilledUnscored(targets, nats, likeliest)) return;
  std::ranges::copy(targets, host_targets_.get());
  CopyAsync(targets_.get(), host_targets_.get(), block.rows, stream_);
  RmsNorm(normed_.get(), FetchHidden(block), model_.final_norm(), block.rows, shape_.hidden,
          shape_.norm_epsilon, stream_.get());
  BeginHead(head_.get(), block.rows, stream_.get());
  for (int64_t first = 0; first < shape_.vocab; first += kVocabTile) {
    const int64_t width = std::min<int64_t>(kVocabTile, shape_.vocab - first);
    gemm_.Project(logits_.get(), normed_.get(), model_.head() + first * shape_.hidden, block_rows_,
                  shape_.hidden, width);
    AddToHead(head_.get(), logits_.get(), targets_.get(), block.rows, static_cast<int32_t>(first),
              static_cast<int32_t>(width), stream_.get());
  }
  FinishHead(nats_.get(), likeliest_.get(), head_.get(), targets_.get(), block.rows, stream_.get());
  CopyAsync(host_nats_.get(), nats_.get(), block.rows, stream_);
  CopyAsync(host_likeliest_.get(), likeliest_.get(), block.rows, stream_);
  stream_.Wait();
  std::copy_n(host_nats_.get(), block.rows, nats.begin());
  if (likeliest != nullptr) std::copy_n(host_likeliest_.get(), block.rows, likeliest);
}

template class LayerStream<float>;
template class LayerStream<__half>;
template class LayerStream<__nv_bfloat16>;
template class CudaSequence<float>;
template class CudaSequence<__half>;
template class CudaSequence<__nv_bfloat16>;

}  // namespace longrope::cuda
