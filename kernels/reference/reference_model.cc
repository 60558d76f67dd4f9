#include "kernels/reference/reference_model.h"

#include <algorithm>
#include <iterator>

#include "kernels/load_row.h"
#include "kernels/parallel.h"
#include "kernels/round_up.h"
#include "kernels/sequence_checks.h"

namespace longrope::reference {
namespace {

int64_t PadToBlocks(int64_t tokens) { return RoundUp(tokens, kBlockRows); }

// Widths of the arrays of Scratch, in its order.
std::vector<int64_t> ScratchWidths(const ModelShape& s) {
  return {s.hidden,  s.QueryWidth(), s.QueryWidth(), s.ffn, s.ffn, std::max(kKeyTile, kVocabTile),
          s.head_dim};
}

}  // namespace

int64_t ScratchElements(const ModelShape& shape) {
  int64_t width = 0;
  for (int64_t w : ScratchWidths(shape)) width += RoundUp(w, 16);
  return width * kBlockRows;
}

template <class T>
BoundMatrix<T>::BoundMatrix(TensorView view, int threads) {
  const bool aligned = reinterpret_cast<uintptr_t>(view.data) % alignof(T) == 0;
  if (std::is_same_v<T, float> && view.dtype == DType::kF32 && view.paired_head == 0 && aligned) {
    view_ = reinterpret_cast<const T*>(view.data);
    return;
  }
  copy_ = Buffer<T>(view.rows * view.cols);
  ParallelFor(view.rows, threads,
              [&](int64_t row, int) { LoadRow(view, row, copy_.get() + row * view.cols); });
}

template <class T>
ReferenceModel<T>::ReferenceModel(const ModelShape& shape, const WeightSource& weights,
                                  const BlockKernels<T>& kernels, int threads)
    : shape_(shape), kernels_(kernels), threads_(threads) {
  for (int layer = 0; layer < shape.layers; ++layer) {
    for (const WeightRole role : kLayerRoles) {
      layers_.emplace_back(CheckedWeight(weights, role, layer, shape), threads);
    }
  }
  embedding_ = CheckedWeight(weights, WeightRole::kEmbedding, 0, shape);
  final_norm_ = BoundMatrix<T>(CheckedWeight(weights, WeightRole::kFinalNorm, 0, shape), threads);
  head_ = BoundMatrix<T>(CheckedWeight(weights, WeightRole::kHead, 0, shape), threads);
}

template <class T>
LayerWeights<T> ReferenceModel<T>::Layer(int layer) const {
  const BoundMatrix<T>* m = &layers_[static_cast<size_t>(layer) * std::size(kLayerRoles)];
  return {m[0].get(), m[1].get(), m[2].get(), m[3].get(), m[4].get(),
          m[5].get(), m[6].get(), m[7].get(), m[8].get()};
}

template <class T>
std::unique_ptr<Sequence> ReferenceModel<T>::Open(std::span<const int32_t> tokens,
                                                  const RopeTable& rope, KvScope scope) const {
  return std::make_unique<ReferenceSequence<T>>(*this, tokens, rope, scope);
}

template <class T>
ReferenceSequence<T>::ReferenceSequence(const ReferenceModel<T>& model,
                                        std::span<const int32_t> tokens, const RopeTable& rope,
                                        KvScope scope)
    : model_(model),
      shape_(model.shape()),
      rope_(rope),
      tokens_(static_cast<int64_t>(tokens.size())),
      padded_(PadToBlocks(tokens_)),
      scope_(scope) {
  CheckTokens(tokens, rope, shape_);
  const int64_t layers = scope == KvScope::kAllLayers ? shape_.layers : 1;
  hidden_ = Buffer<T>(padded_ * shape_.hidden);
  keys_ = Buffer<T>(layers * padded_ * shape_.KvWidth());
  values_ = Buffer<T>(layers * padded_ * shape_.KvWidth());
  scratch_ = Buffer<T>(ScratchElements(shape_) * model.threads());
  const TensorView embedding = model.embedding();
  ParallelFor(padded_ / kBlockRows, model.threads(), [&](int64_t block, int) {
    T* out = Hidden(block);
    const int64_t first = block * kBlockRows;
    for (int64_t row = first; row < first + kBlockRows; ++row, out += shape_.hidden) {
      if (row < tokens_) {
        LoadRow(embedding, tokens[static_cast<size_t>(row)], out);
      } else {
        std::fill_n(out, shape_.hidden, T(0));
      }
    }
  });
}

template <class T>
int64_t ReferenceSequence<T>::Bytes(const ModelShape& shape, int64_t tokens, KvScope scope,
                                    int threads) {
  const int64_t padded = PadToBlocks(tokens);
  const int64_t layers = scope == KvScope::kAllLayers ? shape.layers : 1;
  return Buffer<T>::Bytes(padded * shape.hidden) +
         2 * Buffer<T>::Bytes(layers * padded * shape.KvWidth()) +
         Buffer<T>::Bytes(ScratchElements(shape) * threads);
}

template <class T>
int64_t ReferenceSequence<T>::LayerOffset(int layer) const {
  return scope_ == KvScope::kAllLayers ? layer * padded_ * shape_.KvWidth() : 0;
}

template <class T>
Rotation ReferenceSequence<T>::RotationOf(int64_t block) const {
  const int64_t at = block * kBlockRows * rope_.pairs;
  return {rope_.cos.data() + at, rope_.sin.data() + at,
          std::min(kBlockRows, tokens_ - block * kBlockRows)};
}

template <class T>
Scratch<T> ReferenceSequence<T>::ScratchOf(int worker) {
  T* at = scratch_.get() + worker * ScratchElements(shape_);
  std::vector<T*> arrays;
  for (int64_t width : ScratchWidths(shape_)) {
    arrays.push_back(at);
    at += kBlockRows * RoundUp(width, 16);
  }
  return {arrays[0], arrays[1], arrays[2], arrays[3], arrays[4], arrays[5], arrays[6]};
}

template <class T>
template <class Body>
void ReferenceSequence<T>::ForBlocks(Rows rows, const Body& body) {
  CheckRows(rows, kBlockRows, tokens_);
  const int64_t first = rows.begin / kBlockRows, last = PadToBlocks(rows.end) / kBlockRows;
  ParallelFor(last - first, model_.threads(),
              [&](int64_t i, int worker) { body(first + i, ScratchOf(worker)); });
}

template <class T>
void ReferenceSequence<T>::Extend(int layer, Rows rows) {
  const LayerWeights<T> weights = model_.Layer(layer);
  ForBlocks(rows, [&](int64_t block, const Scratch<T>& scratch) {
    const int64_t at = block * kBlockRows * shape_.KvWidth();
    model_.kernels().extend(shape_, weights, RotationOf(block), Hidden(block), Keys(layer) + at,
                            Values(layer) + at, scratch);
  });
}

template <class T>
void ReferenceSequence<T>::Advance(int layer, Rows rows) {
  const LayerWeights<T> weights = model_.Layer(layer);
  ForBlocks(rows, [&](int64_t block, const Scratch<T>& scratch) {
    model_.kernels().advance(shape_, weights, RotationOf(block), block * kBlockRows, Keys(layer),
                             Values(layer), Hidden(block), scratch);
  });
}

template <class T>
void ReferenceSequence<T>::Score(Rows rows, std::span<const int32_t> targets,
                                 std::span<double> nats, std::span<uint8_t> likeliest) {
  CheckScores(rows, targets, nats, likeliest);
  ForBlocks(rows, [&](int64_t block, const Scratch<T>& scratch) {
    const int64_t first = block * kBlockRows - rows.begin;
    const int64_t count = std::min(kBlockRows, rows.end - block * kBlockRows);
    const auto block_targets =
        targets.subspan(static_cast<size_t>(first), static_cast<size_t>(count));
    uint8_t* block_likeliest = likeliest.empty() ? nullptr : likeliest.data() + first;
    const auto block_nats = nats.subspan(static_cast<size_t>(first), static_cast<size_t>(count));
    if (FilledUnscored(block_targets, block_nats, block_likeliest)) return;
    model_.kernels().score(shape_, model_.final_norm(), model_.head(), Hidden(block), count,
                           block_targets.data(), block_nats.data(), block_likeliest, scratch);
  });
}

template class BoundMatrix<float>;
template class BoundMatrix<double>;
template class ReferenceModel<float>;
template class ReferenceModel<double>;
template class ReferenceSequence<float>;
template class ReferenceSequence<double>;

}  // namespace longrope::reference
