// The one driver of a Sequence: in which order it is walked, what stays in memory, when to stop.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <stop_token>
#include <string>
#include <vector>

#include "eval/rope_factors.h"
#include "kernels/engine.h"

namespace longrope {

// Bytes that scoring one document takes.
struct MemoryAccount {
  int64_t weights = 0;     // copies that the engine made; mapped files are not counted
  int64_t rope_table = 0;  // cos and sin of every position
  int64_t sequence = 0;    // hidden states, keys and values, working memory of the threads
  int64_t tokens = 0;      // ids, targets, nats of every token
  int64_t pinned = 0;      // page-locked memory of the host beside a device
  bool device = false;     // weights and sequence are in a device's memory

  // What has to fit: into the device's memory, or into the host's.
  int64_t Total() const { return weights + sequence + (device ? 0 : Host()); }
  // Memory of the host that is not the engine's own.
  int64_t Host() const { return rope_table + tokens + pinned; }
  // "weights 123 MB, rope table 4 MB, ...: 456 MB"
  std::string Text() const;
};

// How a document of `tokens` tokens is walked. The results do not depend on it.
struct ForwardPlan {
  KvScope scope = KvScope::kAllLayers;  // kAllLayers: chunk by chunk through all layers;
                                        // kOneLayer: layer by layer over the whole document
  int64_t chunk = 0;                    // rows at a time, a multiple of the engine's grain
  MemoryAccount account;
};

// What a plan is made for.
struct ForwardNeeds {
  ModelShape shape;
  DType stored = DType::kF32;  // of the weights
  RopeShape rope;
  int64_t tokens = 0;
  bool tied_head = false;     // the head is the embedding
  int64_t longest = 0;        // tokens of the longest document that the weights are bound for
  bool paired_heads = false;  // rows of queries and keys are stored pair by pair (weights.h)
};

// Rows of which every worker of the engine gets a block.
int64_t RowsForAll(const Engine& engine);

// The account of a walk with this scope.
ForwardPlan PlanScope(const Engine& engine, const ForwardNeeds& needs, KvScope scope);

// Chunk by chunk if all layers' keys and values fit into `memory_bytes`, else layer by layer;
// throws InputError with the account if that does not fit either.
ForwardPlan PlanForward(const Engine& engine, const ForwardNeeds& needs, int64_t memory_bytes);

// What a model makes of tokens[1] ... tokens[T - 1]; element i is about token i + 1.
struct TokenScores {
  std::vector<double> nats;        // -ln p given the tokens before it; 0 where it is not scored
  std::vector<uint8_t> likeliest;  // 1 where greedy decoding would write it (engine.h)
};

// -ln p of tokens[1] ... tokens[T - 1], each given those before it, in nats. Tokens for which
// `scored` holds 0 are read but not scored (0 nats); it has an element for each token, or none:
// then all are. nullopt if `stop` was requested before the end. `tokens` has at least two elements.
std::optional<std::vector<double>> TokenNats(const Model& model, const ModelShape& shape,
                                             const ForwardPlan& plan,
                                             std::span<const int32_t> tokens, const RopeTable& rope,
                                             std::stop_token stop,
                                             std::span<const uint8_t> scored = {});

// The same nats, bit for bit, and which tokens are the likeliest.
std::optional<TokenScores> ScoreEachToken(const Model& model, const ModelShape& shape,
                                          const ForwardPlan& plan, std::span<const int32_t> tokens,
                                          const RopeTable& rope, std::stop_token stop,
                                          std::span<const uint8_t> scored = {});

}  // namespace longrope
