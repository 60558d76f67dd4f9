// The tasks of one call to a team of workers.
#pragma once

#include <algorithm>
#include <cstdint>
#include <deque>
#include <optional>
#include <set>
#include <span>
#include <vector>

#include "eval/evaluator.h"

namespace longrope {

// Those that wait, who failed which, and how often. Not thread-safe; what it is given outlives it.
class WorkerRound {
 public:
  WorkerRound(std::span<const Task> tasks, const Evaluator::Done& done, int64_t first)
      : tasks_(tasks), done_(done), first_(first), attempts_(tasks.size()), failed_(tasks.size()) {
    for (size_t i = 0; i < tasks.size(); ++i) waiting_.push_back(i);
  }

  bool IsDone() const { return left_ == 0; }
  const Task& At(size_t index) const { return tasks_[index]; }
  // By which a worker knows a task, and back.
  int64_t NumberOf(size_t index) const { return first_ + static_cast<int64_t>(index); }
  size_t IndexOf(int64_t number) const { return static_cast<size_t>(number - first_); }
  // That failed.
  int attempts(size_t index) const { return attempts_[index]; }

  // The next task for a worker: one that it did not fail, else one that all of `able` failed.
  std::optional<size_t> Take(int worker, const std::vector<int>& able) {
    const auto at = std::ranges::find_if(waiting_, [&](size_t index) {
      const auto& failed = failed_[index];
      return !failed.contains(worker) ||
             std::ranges::all_of(able, [&](int other) { return failed.contains(other); });
    });
    if (at == waiting_.end()) return std::nullopt;
    const size_t index = *at;
    waiting_.erase(at);
    return index;
  }
  // It waits again, before the others: a worker failed it.
  void Return(size_t index, int worker) {
    waiting_.push_front(index);
    failed_[index].insert(worker);
    ++attempts_[index];
  }
  // Reports its score.
  void Finish(size_t index, const Score& score) {
    --left_;
    done_(tasks_[index], score);
  }

 private:
  std::span<const Task> tasks_;
  const Evaluator::Done& done_;
  int64_t first_;  // number of the first task
  std::deque<size_t> waiting_;
  std::vector<int> attempts_;
  std::vector<std::set<int>> failed_;  // workers
  size_t left_ = tasks_.size();
};

}  // namespace longrope
