// Stands in for a model: scores that are a formula of the factors, in any order and from any number
// of threads.
#pragma once

#include <algorithm>
#include <atomic>
#include <cmath>
#include <functional>
#include <limits>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include "eval/evaluator.h"
#include "search/job/stage_evaluators.h"
#include "search/rng.h"

namespace longrope::testing {

// A smooth bowl around a curve that no closed form is, another one for every document.
inline Score BowlScore(const RopeFactors& factors, int document) {
  double cost = 1;
  const auto pairs = static_cast<double>(factors.lambda.size());
  for (size_t i = 0; i < factors.lambda.size(); ++i) {
    const double x = static_cast<double>(i) / pairs;
    const double wanted = 1 + 6 * x * x + 0.05 * document;
    const double off = static_cast<double>(factors.lambda[i]) - wanted;
    cost += off * off / pairs;
  }
  cost += 0.01 * std::abs(static_cast<double>(factors.start_tokens) - 16);
  cost += std::abs(factors.attention_factor - 1.07);
  return {1000 * std::log(cost + 1), 1000};
}

enum class Arrival { kInOrder, kReversed, kShuffled };

class FakeEvaluator final : public Evaluator {
 public:
  Arrival arrival = Arrival::kInOrder;
  int threads = 1;
  int64_t stop_after = std::numeric_limits<int64_t>::max();  // scores, over all calls
  std::function<Score(const RopeFactors&, int)> score = BowlScore;
  FingerprintParts fingerprint = {{"model", "fake"}, {"engine", "formula"}};
  int64_t scores = 0;  // reported so far

  void Run(std::span<const Task> tasks, const Done& done, std::stop_token stop) override {
    std::vector<Task> order(tasks.begin(), tasks.end());
    if (arrival == Arrival::kReversed) std::ranges::reverse(order);
    if (arrival == Arrival::kShuffled) {
      Rng rng(99, "arrival", static_cast<uint32_t>(scores), 0);
      std::vector<Task> shuffled;
      for (size_t index : RandomOrder(order.size(), rng)) shuffled.push_back(order[index]);
      order = std::move(shuffled);
    }
    std::atomic<size_t> next = 0;
    std::mutex mutex;
    const auto work = [&] {
      for (size_t i = next++; i < order.size(); i = next++) {
        const Score result = score(order[i].factors, order[i].document);
        const std::lock_guard lock(mutex);
        if (stop.stop_requested() || scores >= stop_after) return;
        ++scores;
        done(order[i], result);
      }
    };
    std::vector<std::jthread> workers;
    for (int i = 1; i < threads; ++i) workers.emplace_back(work);
    work();
  }
  FingerprintParts Fingerprint() const override { return fingerprint; }
};

// A "model" of 16 pairs, original length 256.
class FakeStages final : public StageEvaluators {
 public:
  FakeEvaluator evaluator;
  RopeShape shape = {32, 10000, 256};
  std::optional<FactorBucket> given;  // factors that the model carries
  std::string bad_weight;

  StageModel ModelAt(const std::string&) override { return {shape, given}; }
  Evaluator* For(const StageOptions&, const std::string&, std::stop_token) override {
    return &evaluator;
  }
  void Release() override {}
  std::string FindNonFiniteWeight() override { return bad_weight; }
};

}  // namespace longrope::testing
