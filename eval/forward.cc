#include "eval/forward.h"

#include <algorithm>
#include <stdexcept>

#include "eval/errors.h"
#include "eval/rope_builder.h"

namespace longrope {
namespace {

constexpr int64_t kBlocksPerThread = 4;  // of a chunk: enough to even out uneven blocks

std::string Megabytes(int64_t bytes) {
  return std::to_string((bytes + 999'999) / 1'000'000) + " MB";
}

// A sequence on its way through the layers.
class Walker {
 public:
  Walker(Sequence& sequence, int layers, int64_t rows, const ForwardPlan& plan,
         std::stop_token stop)
      : sequence_(sequence), layers_(layers), rows_(rows), plan_(plan), stop_(std::move(stop)) {}

  // Calls score(rows) for every chunk that has passed all layers. False if stopped.
  template <class ScoreRows>
  bool Run(const ScoreRows& score) {
    return plan_.scope == KvScope::kAllLayers ? RunChunks(score) : RunLayers(score);
  }

 private:
  // Calls body(rows) for every chunk in order. False if stopped.
  template <class Body>
  bool ForChunks(const Body& body) {
    for (int64_t begin = 0; begin < rows_; begin += plan_.chunk) {
      if (stop_.stop_requested()) return false;
      if (!body(Rows{begin, std::min(rows_, begin + plan_.chunk)})) return false;
    }
    return true;
  }

  template <class ScoreRows>
  bool RunChunks(const ScoreRows& score) {
    return ForChunks([&](Rows rows) {
      for (int layer = 0; layer < layers_; ++layer) {
        if (stop_.stop_requested()) return false;
        sequence_.Extend(layer, rows);
        sequence_.Advance(layer, rows);
      }
      score(rows);
      return true;
    });
  }

  template <class ScoreRows>
  bool RunLayers(const ScoreRows& score) {
    for (int layer = 0; layer < layers_; ++layer) {
      const bool done = ForChunks([&](Rows rows) {
        sequence_.Extend(layer, rows);
        sequence_.Advance(layer, rows);
        return true;
      });
      if (!done) return false;
    }
    return ForChunks([&](Rows rows) {
      score(rows);
      return true;
    });
  }

  Sequence& sequence_;
  int layers_;
  int64_t rows_;
  const ForwardPlan& plan_;
  std::stop_token stop_;
};

// Fills `scores`, likeliest only if it is asked for. False if stopped.
bool WalkAndScore(const Model& model, const ModelShape& shape, const ForwardPlan& plan,
                  std::span<const int32_t> tokens, const RopeTable& rope, std::stop_token stop,
                  std::span<const uint8_t> scored, bool likeliest, TokenScores* scores) {
  if (tokens.size() < 2) throw std::invalid_argument("a document needs at least two tokens");
  const auto rows = static_cast<int64_t>(tokens.size()) - 1;
  std::vector<int32_t> targets(tokens.begin() + 1, tokens.end());
  for (size_t i = 0; i < targets.size() && !scored.empty(); ++i) {
    if (scored[i + 1] == 0) targets[i] = kNotScored;
  }
  scores->nats.resize(targets.size());
  scores->likeliest.resize(likeliest ? targets.size() : 0);
  const auto sequence = model.Open(tokens.first(targets.size()), rope, plan.scope);
  Walker walker(*sequence, shape.layers, rows, plan, std::move(stop));
  return walker.Run([&](Rows part) {
    const auto begin = static_cast<size_t>(part.begin);
    const auto count = static_cast<size_t>(part.end - part.begin);
    const std::span<uint8_t> all(scores->likeliest);
    sequence->Score(part, std::span(targets).subspan(begin, count),
                    std::span(scores->nats).subspan(begin, count),
                    likeliest ? all.subspan(begin, count) : all);
  });
}

}  // namespace

std::string MemoryAccount::Text() const {
  if (device) {
    return "on the device weights " + Megabytes(weights) + ", sequence " + Megabytes(sequence) +
           ": " + Megabytes(Total()) + "; on the host rope table " + Megabytes(rope_table) +
           ", tokens " + Megabytes(tokens) + ", page-locked " + Megabytes(pinned) + ": " +
           Megabytes(Host());
  }
  return "weights " + Megabytes(weights) + ", rope table " + Megabytes(rope_table) + ", sequence " +
         Megabytes(sequence) + ", tokens " + Megabytes(tokens) + ": " + Megabytes(Total());
}

int64_t RowsForAll(const Engine& engine) {
  // A device is no faster with more rows, and a stop is heard between chunks.
  return engine.Grain() * (engine.DeviceBytes() ? 1 : engine.Threads());
}

ForwardPlan PlanScope(const Engine& engine, const ForwardNeeds& needs, KvScope scope) {
  ForwardPlan plan;
  plan.scope = scope;
  plan.chunk = RowsForAll(engine) * kBlocksPerThread;
  const EngineBytes bytes = engine.Bytes({needs.shape, needs.stored, needs.tied_head,
                                          std::max(needs.longest, needs.tokens), needs.tokens,
                                          scope, needs.paired_heads});
  plan.account.weights = bytes.weights;
  plan.account.rope_table = RopeTableBytes(needs.rope, needs.tokens);
  plan.account.sequence = bytes.sequence;
  plan.account.pinned = bytes.pinned;
  plan.account.device = engine.DeviceBytes().has_value();
  plan.account.tokens = needs.tokens * static_cast<int64_t>(2 * sizeof(int32_t) + sizeof(double));
  return plan;
}

ForwardPlan PlanForward(const Engine& engine, const ForwardNeeds& needs, int64_t memory_bytes) {
  const ForwardPlan chunks = PlanScope(engine, needs, KvScope::kAllLayers);
  if (chunks.account.Total() <= memory_bytes) return chunks;
  const ForwardPlan layers = PlanScope(engine, needs, KvScope::kOneLayer);
  if (layers.account.Total() <= memory_bytes) return layers;
  throw InputError("a document of " + std::to_string(needs.tokens) + " tokens needs " +
                   layers.account.Text() + " of memory; allowed are " + Megabytes(memory_bytes) +
                   " (backend.memory_gb, --memory-gb)");
}

std::optional<std::vector<double>> TokenNats(const Model& model, const ModelShape& shape,
                                             const ForwardPlan& plan,
                                             std::span<const int32_t> tokens, const RopeTable& rope,
                                             std::stop_token stop,
                                             std::span<const uint8_t> scored) {
  TokenScores scores;
  const bool done =
      WalkAndScore(model, shape, plan, tokens, rope, std::move(stop), scored, false, &scores);
  return done ? std::optional(std::move(scores.nats)) : std::nullopt;
}

std::optional<TokenScores> ScoreEachToken(const Model& model, const ModelShape& shape,
                                          const ForwardPlan& plan, std::span<const int32_t> tokens,
                                          const RopeTable& rope, std::stop_token stop,
                                          std::span<const uint8_t> scored) {
  TokenScores scores;
  const bool done =
      WalkAndScore(model, shape, plan, tokens, rope, std::move(stop), scored, true, &scores);
  return done ? std::optional(std::move(scores)) : std::nullopt;
}

}  // namespace longrope
