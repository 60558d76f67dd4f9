#include "eval/evaluator_pool.h"

#include <gtest/gtest.h>

#include <atomic>
#include <condition_variable>
#include <map>
#include <mutex>
#include <set>
#include <thread>

#include "kernels/device_error.h"

namespace longrope {
namespace {

using Kind = DeviceError::Kind;

// Calls `on_task` for each task, then reports the candidate's number as its score.
class Member final : public Evaluator {
 public:
  using OnTask = std::function<void(const Task&, const std::stop_token&)>;
  explicit Member(OnTask on_task = {}, std::string engine = "one")
      : on_task_(std::move(on_task)), engine_(std::move(engine)) {}
  void Run(std::span<const Task> tasks, const Done& done, std::stop_token stop) override {
    for (const Task& task : tasks) {
      if (on_task_) on_task_(task, stop);
      if (stop.stop_requested()) return;
      done(task, {static_cast<double>(task.candidate), 1});
    }
  }
  FingerprintParts Fingerprint() const override { return {{"engine", engine_}}; }

 private:
  OnTask on_task_;
  std::string engine_;
};

// Lets threads go on once so many have come; a pool that asks only some of its members hangs.
class Meeting {
 public:
  explicit Meeting(int expected) : missing_(expected) {}
  void Come() {
    std::unique_lock lock(mutex_);
    if (--missing_ <= 0) changed_.notify_all();
    changed_.wait(lock, [this] { return missing_ <= 0; });
  }

 private:
  std::mutex mutex_;
  std::condition_variable changed_;
  int missing_;
};

void WaitForStop(const std::stop_token& stop) {
  while (!stop.stop_requested()) std::this_thread::yield();
}

class EvaluatorPoolTest : public ::testing::Test {
 protected:
  template <class... OnTask>
  void Start(OnTask... on_task) {
    std::vector<std::unique_ptr<Evaluator>> members;
    (members.push_back(std::make_unique<Member>(on_task)), ...);
    pool_ = std::make_unique<EvaluatorPool>(
        std::move(members),
        [this](size_t member, const std::string& why) { lost_.emplace_back(member, why); });
  }
  void Run(int64_t tasks, std::stop_token stop = {}) {
    std::vector<Task> all;
    for (int64_t i = 0; i < tasks; ++i) all.push_back({i, 0, {}});
    scored_.clear();
    pool_->Run(
        all,
        [this](const Task& task, const Score& score) {
          EXPECT_EQ(score.nats, static_cast<double>(task.candidate));
          EXPECT_TRUE(scored_.insert(task.candidate).second) << "scored twice";
        },
        std::move(stop));
  }

  std::unique_ptr<EvaluatorPool> pool_;
  std::set<int64_t> scored_;
  std::vector<std::pair<size_t, std::string>> lost_;
};

TEST_F(EvaluatorPoolTest, MembersWorkAtTheSameTimeAndEveryTaskIsScoredOnce) {
  Meeting first_tasks(3);
  std::atomic<int> tasks = 0;
  const auto meet = [&](const Task&, const std::stop_token&) {
    if (++tasks <= 3) first_tasks.Come();
  };
  Start(meet, meet, meet);
  Run(50);
  EXPECT_EQ(scored_.size(), 50u);
  EXPECT_EQ(tasks, 50);
  Run(0);
  EXPECT_TRUE(scored_.empty());
}

TEST_F(EvaluatorPoolTest, TheTaskOfALostMemberGoesToAnother) {
  std::atomic<int> asked = 0;
  Meeting both(2);
  Start(
      [&](const Task&, const std::stop_token&) {
        ++asked;
        both.Come();
        throw DeviceError(Kind::kLost, "fell off the bus");
      },
      [&, first = true](const Task&, const std::stop_token&) mutable {
        if (std::exchange(first, false)) both.Come();
      });
  Run(20);
  EXPECT_EQ(scored_.size(), 20u);
  ASSERT_EQ(lost_.size(), 1u);
  EXPECT_EQ(lost_[0], std::pair(size_t{0}, std::string("fell off the bus")));
  Run(20);
  EXPECT_EQ(scored_.size(), 20u);
  EXPECT_EQ(asked, 1) << "a lost one is not asked again";
}

TEST_F(EvaluatorPoolTest, WithoutAMemberLeftTheLossIsThrown) {
  const auto lose = [](const Task&, const std::stop_token&) {
    throw DeviceError(Kind::kLost, "gone");
  };
  Start(lose, lose);
  for (int call = 0; call < 2; ++call) {
    try {
      Run(3);
      ADD_FAILURE() << "nobody was left";
    } catch (const DeviceError& error) {
      EXPECT_EQ(error.kind(), Kind::kLost);
    }
  }
  EXPECT_EQ(lost_.size(), 2u);
}

TEST_F(EvaluatorPoolTest, AStopReachesTheMembersAndIsNoFailure) {
  std::stop_source source;
  Meeting both(2);
  const auto until_stopped = [&](const Task&, const std::stop_token& stop) {
    both.Come();
    source.request_stop();
    WaitForStop(stop);
  };
  Start(until_stopped, until_stopped);
  Run(10, source.get_token());
  EXPECT_TRUE(scored_.empty());
}

// Also what is thrown for want of memory: another device has no more of it.
TEST_F(EvaluatorPoolTest, AnyOtherFailureStopsTheOthersAndIsThrown) {
  for (const Kind kind : {Kind::kOther, Kind::kOutOfMemory}) {
    Meeting both(2);
    Start(
        [&](const Task&, const std::stop_token&) {
          both.Come();
          throw DeviceError(kind, "broken");
        },
        [&](const Task&, const std::stop_token& stop) {
          both.Come();
          WaitForStop(stop);
        });
    try {
      Run(10);
      ADD_FAILURE() << "nothing was thrown";
    } catch (const DeviceError& error) {
      EXPECT_STREQ(error.what(), "broken");
    }
    EXPECT_TRUE(lost_.empty());
  }
}

TEST_F(EvaluatorPoolTest, WhatTakesTheScoresMayThrow) {
  Start(Member::OnTask{}, Member::OnTask{});
  const std::vector<Task> tasks(5);
  const auto full = [](const Task&, const Score&) { throw std::runtime_error("disk full"); };
  EXPECT_THROW(pool_->Run(tasks, full, {}), std::runtime_error);
}

TEST(EvaluatorPool, WantsMembersThatGiveEqualBits) {
  std::vector<std::unique_ptr<Evaluator>> members;
  EXPECT_THROW(EvaluatorPool(std::move(members), {}), std::invalid_argument);
  members.clear();
  members.push_back(std::make_unique<Member>(Member::OnTask{}, "one"));
  members.push_back(std::make_unique<Member>(Member::OnTask{}, "another"));
  EXPECT_THROW(EvaluatorPool(std::move(members), {}), std::invalid_argument);
}

}  // namespace
}  // namespace longrope
