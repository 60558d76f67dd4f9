#include "eval/evaluator_pool.h"

#include <algorithm>
#include <condition_variable>
#include <deque>
#include <mutex>
#include <stdexcept>
#include <thread>

#include "kernels/device_error.h"

namespace longrope {
namespace {

// The tasks of one call, shared by the members' threads.
class Queue {
 public:
  Queue(std::span<const Task> tasks, const Evaluator::Done& done, std::stop_token stop)
      : tasks_(tasks),
        done_(done),
        stop_(std::move(stop)),
        chain_(stop_, [this] { stop_source_.request_stop(); }) {
    for (size_t i = 0; i < tasks.size(); ++i) waiting_.push_back(i);
  }

  // Works until nothing is left, the member is lost (false), or the call has failed.
  bool Serve(Evaluator& member, const std::function<void(const std::string&)>& lost) {
    for (size_t task = 0; Take(&task);) {
      try {
        member.Run(
            tasks_.subspan(task, 1),
            [this](const Task& of, const Score& score) {
              const std::lock_guard lock(mutex_);
              done_(of, score);
            },
            stop_source_.get_token());
      } catch (const DeviceError& error) {
        const std::lock_guard lock(mutex_);
        if (error.kind() == DeviceError::Kind::kLost) {
          waiting_.push_front(task);
          loss_ = std::current_exception();
          EndTask();
          lost(error.what());
          return false;
        }
        Fail();
      } catch (...) {
        const std::lock_guard lock(mutex_);
        Fail();
      }
      const std::lock_guard lock(mutex_);
      EndTask();
    }
    return true;
  }

  // After all members returned: is a task left that nobody can compute?
  bool Abandoned() const { return !waiting_.empty() && !stop_.stop_requested(); }
  std::exception_ptr failure() const { return failure_; }
  std::exception_ptr loss() const { return loss_; }

 private:
  bool Take(size_t* task) {
    std::unique_lock lock(mutex_);
    // A task in flight may come back.
    changed_.wait(lock, [this] { return failure_ || !waiting_.empty() || in_flight_ == 0; });
    if (failure_ || waiting_.empty() || stop_.stop_requested()) return false;
    *task = waiting_.front();
    waiting_.pop_front();
    ++in_flight_;
    return true;
  }
  // The mutex is held, here and below.
  void EndTask() {
    --in_flight_;
    changed_.notify_all();
  }
  void Fail() {
    if (!failure_) failure_ = std::current_exception();
    stop_source_.request_stop();
  }

  std::span<const Task> tasks_;
  const Evaluator::Done& done_;
  std::stop_token stop_;
  std::stop_source stop_source_;  // of the members: the caller's stop, or a failure
  std::stop_callback<std::function<void()>> chain_;
  std::mutex mutex_;  // of what follows, and of calls to done_
  std::condition_variable changed_;
  std::deque<size_t> waiting_;
  int in_flight_ = 0;
  std::exception_ptr failure_, loss_;
};

}  // namespace

EvaluatorPool::EvaluatorPool(std::vector<std::unique_ptr<Evaluator>> members,
                             std::function<void(size_t, const std::string&)> lost)
    : members_(std::move(members)), tell_lost_(std::move(lost)), lost_(members_.size()) {
  if (members_.empty()) throw std::invalid_argument("a pool needs a member");
  const FingerprintParts first = members_.front()->Fingerprint();
  if (!std::ranges::all_of(members_,
                           [&](const auto& member) { return member->Fingerprint() == first; })) {
    throw std::invalid_argument("the members of a pool must have equal fingerprints");
  }
}

void EvaluatorPool::Run(std::span<const Task> tasks, const Done& done, std::stop_token stop) {
  Queue queue(tasks, done, std::move(stop));
  std::vector<char> lost(members_.size());  // not bool: threads write to neighbours
  {
    std::vector<std::jthread> threads;
    for (size_t i = 0; i < members_.size(); ++i) {
      if (lost_[i]) continue;
      threads.emplace_back([&, i] {
        lost[i] = !queue.Serve(*members_[i], [&](const std::string& why) { tell_lost_(i, why); });
      });
    }
  }
  for (size_t i = 0; i < members_.size(); ++i) lost_[i] = lost_[i] || lost[i] != 0;
  if (queue.loss()) loss_ = queue.loss();
  if (queue.failure()) std::rethrow_exception(queue.failure());
  if (queue.Abandoned()) std::rethrow_exception(loss_);
}

}  // namespace longrope
