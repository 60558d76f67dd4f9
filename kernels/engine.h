// The contract between the evaluator and an implementation of the transformer.
//
// Order of calls for one sequence of T tokens; `rows` are half-open ranges that start on a multiple
// of Grain() and end on one or at T:
//   Extend(l, rows)   after Advance(l - 1, rows); for l = 0 it reads the embeddings.
//   Advance(l, rows)  after Extend(l) over all of [0, rows.end).
//   Score(rows)       after Advance(last layer, rows).
// Rows of one layer are extended, and advanced, in increasing order. Two walks are legal: chunk by
// chunk through all layers (KvScope::kAllLayers), and layer by layer over all chunks (either scope;
// with kOneLayer no Extend(l + 1) before the last Advance(l)).
// Results do not depend on walk, chunk size or number of threads: same bits.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string_view>

#include "kernels/rope_table.h"
#include "kernels/weights.h"

namespace longrope {

// Positions in a sequence, in tokens, half-open.
struct Rows {
  int64_t begin = 0, end = 0;
};

// A target that is not scored.
inline constexpr int32_t kNotScored = -1;

// Whose keys and values a Sequence keeps.
enum class KvScope { kOneLayer, kAllLayers };

// Hidden states and keys and values of one document under one rotation. One caller thread at a
// time. On a device every call may throw DeviceError; the sequence is then of no more use.
class Sequence {
 public:
  virtual ~Sequence() = default;
  // Normalises `rows`, projects keys and values, rotates keys, appends both.
  virtual void Extend(int layer, Rows rows) = 0;
  // Carries the hidden states of `rows` through the layer: causal attention over what was extended,
  // then the feed-forward half.
  virtual void Advance(int layer, Rows rows) = 0;
  // nats[i] = -ln p(targets[i] | tokens up to row rows.begin + i), or 0 where the target is
  // kNotScored (a block of rows without any target is not computed). Both spans have
  // rows.end - rows.begin elements; a target is kNotScored or in [0, vocab).
  // Non-finite hidden states or logits give a non-finite number, never an exception.
  // likeliest[i] = 1 if targets[i] is what greedy decoding would write: no other token has a larger
  // logit, and none of a lower id an equal one; else 0, also where the target is kNotScored or
  // nats[i] is not finite. As many elements as rows, or none: then nothing is spent on it.
  virtual void Score(Rows rows, std::span<const int32_t> targets, std::span<double> nats,
                     std::span<uint8_t> likeliest = {}) = 0;
  // Returns when all that was asked for is computed: on a device Extend and Advance only begin it.
  virtual void Wait() {}
};

// What memory is asked about.
struct MemoryNeeds {
  ModelShape shape;
  DType stored = DType::kF32;  // of the weights that are bound
  bool tied_head = false;      // the head is the embedding's own view
  int64_t longest = 0;         // tokens of the longest sequence for which they are bound
  int64_t tokens = 0;          // of the sequence asked about, at most `longest`
  KvScope scope = KvScope::kAllLayers;
  bool paired_heads = false;  // rows of queries and keys are stored pair by pair (TensorView)
};

// Of a walk that an engine does not offer.
inline constexpr int64_t kNotOffered = INT64_MAX / 2;

struct EngineBytes {
  int64_t weights = 0;   // that Bind allocates beyond the views it is given
  int64_t sequence = 0;  // that Open and the calls on the sequence hold at most, beyond those
  int64_t pinned = 0;    // page-locked memory of the host, where the others are a device's
};

// Weights bound to an engine. Thread-safe: several sequences may be open at once.
class Model {
 public:
  virtual ~Model() = default;
  // Opens a sequence of tokens (ids in [0, vocab), at least one). `rope` has at least tokens.size()
  // positions and head_dim / 2 pairs and outlives the sequence; the ids are copied.
  // Throws std::bad_alloc, or DeviceError, and leaves nothing allocated.
  virtual std::unique_ptr<Sequence> Open(std::span<const int32_t> tokens, const RopeTable& rope,
                                         KvScope scope) const = 0;
};

// One implementation with its options (threads, device).
class Engine {
 public:
  virtual ~Engine() = default;
  // Which implementation answers, e.g. "reference/f32/x86-64-v3"; part of a run's fingerprint.
  virtual std::string_view name() const = 0;
  // What else its bits depend on: compiler and libraries, e.g. "GCC 12.2.0, Eigen 3.4.0,
  // glibc 2.36".
  virtual std::string_view build() const = 0;
  // Rows begin on multiples of this: engines compute whole blocks, zero-padded at the end, so that
  // results do not depend on the chunks asked for. In tokens.
  virtual int64_t Grain() const = 0;
  // Threads that the engine computes with; callers size chunks so that each has work.
  virtual int Threads() const = 0;
  virtual EngineBytes Bytes(const MemoryNeeds& needs) const = 0;
  // Bytes that it may take of a device's own memory; nullopt where it computes in the host's.
  virtual std::optional<int64_t> DeviceBytes() const { return std::nullopt; }
  // Takes the weights over: converted, packed or uploaded once, shared by all sequences, of which
  // none is longer than `longest` tokens. `weights` outlives the model. Throws
  // std::invalid_argument if a tensor does not fit the shape.
  virtual std::unique_ptr<Model> Bind(const ModelShape& shape, const WeightSource& weights,
                                      int64_t longest) const = 0;
};

}  // namespace longrope
