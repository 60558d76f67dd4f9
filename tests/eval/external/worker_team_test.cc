#include "eval/external/worker_team.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <signal.h>

#include <algorithm>
#include <chrono>
#include <cmath>
#include <map>
#include <sstream>
#include <thread>

#include "tests/eval/external/fake_workers.h"
#include "tests/support/refusal.h"

namespace longrope {
namespace {

using ::testing::AnyOf;
using ::testing::Contains;
using ::testing::ElementsAre;
using testing::FakeDocuments;
using testing::FakeTasks;
using testing::FakeWorker;
using ::testing::HasSubstr;
using testing::SlurpFile;
using ::testing::StartsWith;
using testing::TempFolder;

using Scores = std::map<std::pair<int64_t, int>, Score>;
using Clock = std::chrono::steady_clock;

double SecondsSince(Clock::time_point began) {
  return std::chrono::duration<double>(Clock::now() - began).count();
}

class WorkerTeamTest : public ::testing::Test {
 protected:
  WorkerTeam Team(std::vector<std::string> arguments, int workers = 1) {
    arguments.insert(arguments.end(), {"--trace", Trace()});
    return WorkerTeam(Options(FakeWorker(arguments), workers), folder_ / "tokens",
                      [this](const std::string& line) { log_.push_back(line); });
  }
  WorkerOptions Options(std::vector<std::string> command, int workers) const {
    return {.command = std::move(command),
            .workers = workers,
            .start_timeout = 60,
            .silence_timeout = silence_,
            .task_timeout = task_};
  }
  // Every score, each reported once.
  Scores Run(WorkerTeam& team, int candidates = 6) {
    const auto tasks = FakeTasks(candidates);
    EXPECT_NE(team.Greet({}), nullptr);
    team.Share(FakeDocuments());
    Scores scores;
    team.Run(tasks,
             [&](const Task& task, const Score& score) {
               EXPECT_TRUE(scores.try_emplace({task.candidate, task.document}, score).second);
             },
             {});
    EXPECT_EQ(scores.size(), tasks.size());
    return scores;
  }
  // By one worker that does all as it should.
  Scores Undisturbed(int candidates = 6) {
    static std::map<int, Scores> all;
    if (all.contains(candidates)) return all[candidates];
    WorkerTeam team(Options(FakeWorker(), 1), folder_ / "undisturbed", [](const std::string&) {});
    return all[candidates] = Run(team, candidates);
  }
  bool Said(const std::string& begin, const std::string& end) const {
    return std::ranges::any_of(log_, [&](const std::string& line) {
      return line.starts_with(begin) && line.ends_with(end);
    });
  }
  std::string Trace() const { return (folder_ / "trace").string(); }
  std::vector<pid_t> Processes() const {
    std::istringstream lines(SlurpFile(Trace()));
    std::vector<pid_t> processes;
    std::string word;
    for (pid_t process = 0; lines >> word;) {
      if (word == "process" && lines >> process) processes.push_back(process);
    }
    return processes;
  }
  void ExpectNoProcessLeft() const {
    for (pid_t process : Processes()) EXPECT_NE(::kill(process, 0), 0) << process;
  }

  TempFolder folder_;
  std::vector<std::string> log_;
  double silence_ = 30, task_ = 0;
};

TEST_F(WorkerTeamTest, EveryTaskIsScoredOnceByHoweverManyWorkers) {
  const Scores one = Undisturbed();
  EXPECT_EQ(one.at({0, 0}).tokens, 7);
  EXPECT_EQ(one.at({0, 1}).tokens, 3);
  for (int workers : {1, 3}) {
    WorkerTeam team = Team({}, workers);
    EXPECT_EQ(Run(team), one);
    EXPECT_EQ(Run(team), one);                                    // again, by the same processes
    EXPECT_LE(Processes().size(), static_cast<size_t>(workers));  // some may come too late
    std::filesystem::remove(Trace());
  }
}

TEST_F(WorkerTeamTest, IdsInTheMessagesGiveTheSameScoresAndNoFiles) {
  WorkerTeam team = Team({"--inline"});
  EXPECT_EQ(Run(team), Undisturbed());
  EXPECT_FALSE(std::filesystem::exists(folder_ / "tokens"));
}

TEST_F(WorkerTeamTest, FilesAreRemovedWithTheTeam) {
  {
    WorkerTeam team = Team({});
    Run(team);
    EXPECT_TRUE(std::filesystem::exists(folder_ / "tokens"));
  }
  EXPECT_FALSE(std::filesystem::exists(folder_ / "tokens"));
}

// What a worker does at its third task, and what is said of it.
struct Trouble {
  const char* what;
  const char* said;
};
class WorkerTroubleTest : public WorkerTeamTest, public ::testing::WithParamInterface<Trouble> {};

TEST_P(WorkerTroubleTest, TheTaskIsScoredAgainAndNothingIsLost) {
  const auto& [what, said] = GetParam();
  if (std::string(what).starts_with("hang")) silence_ = 0.5;
  if (std::string(what) == "never") task_ = 0.5;
  {
    WorkerTeam team = Team({"--as", what, "--after", "2", "--once", (folder_ / "once").string()});
    EXPECT_EQ(Run(team), Undisturbed());
    EXPECT_THAT(log_, Contains(AllOf(HasSubstr(said), HasSubstr("; it is started again"))));
  }
  EXPECT_EQ(Processes().size(), 2u);
  ExpectNoProcessLeft();
}

INSTANTIATE_TEST_SUITE_P(
    Kinds, WorkerTroubleTest,
    ::testing::Values(
        Trouble{"die", "it ended: exit code 3; it last wrote \"the last words\""},
        Trouble{"kill", "it ended: signal 9 (Killed)"}, Trouble{"close", "its stdout closed"},
        Trouble{"hang", "no sign of life for 500 ms"},
        Trouble{"hang-stubborn", "no sign of life for 500 ms"},
        Trouble{"never", "no score for 500 ms"}, Trouble{"nan", "not valid JSON"},
        Trouble{"null", "nats: is missing"}, Trouble{"negative", "nats: allowed: 0 and above"},
        Trouble{"count", "asked were"}, Trouble{"task", "which it has not"},
        Trouble{"twice", "which it has not"}, Trouble{"status", "'fine'"},
        Trouble{"failed", "it failed: out of luck"}, Trouble{"garbage", "not valid JSON"},
        Trouble{"hello", "a second hello"}, Trouble{"nested", "nested deeper"},
        Trouble{"long", "a line of more than 1048576 bytes"}),
    [](const auto& test) {
      std::string name = test.param.what;
      std::erase(name, '-');
      return name;
    });

TEST_F(WorkerTeamTest, SlowIsNotDead) {
  silence_ = 0.6;
  WorkerTeam team = Team({"--seconds", "1.5"});
  EXPECT_EQ(Run(team, 1), Undisturbed(1));
  EXPECT_EQ(Processes().size(), 1u);
}

TEST_F(WorkerTeamTest, AFloodOnStderrBlocksNobodyAndIsNumbered) {
  WorkerTeam team = Team({"--as", "flood", "--after", "1"});
  EXPECT_EQ(Run(team), Undisturbed());
  EXPECT_THAT(log_, Contains("worker 0: warning 19999"));
}

TEST_F(WorkerTeamTest, ALossThatIsNotFiniteIsAScore) {
  WorkerTeam team = Team({"--as", "non-finite", "--after", "0"});
  const Scores scores = Run(team, 1);
  EXPECT_TRUE(std::isnan(scores.at({0, 0}).nats));
  EXPECT_EQ(scores.at({0, 0}).tokens, 7);
  EXPECT_TRUE(std::isfinite(scores.at({0, 1}).nats));
  EXPECT_EQ(Processes().size(), 1u);
}

TEST_F(WorkerTeamTest, OthersDoWhatOneAlwaysFails) {
  // Worker 1 dies at each of its tasks; three times, then it is given up.
  const auto arguments = FakeWorker({"--trace", Trace()});
  std::string command = "exec python3 " + arguments[1] + " --trace " + Trace() +
                        " $(test {worker} = 1 && echo --as die)";
  WorkerTeam team(Options({"sh", "-c", command}, 2), folder_ / "tokens",
                  [this](const std::string& line) { log_.push_back(line); });
  const auto given_up = [this] { return Said("worker 1: ", "it gets no more tasks"); };
  for (int i = 0; i < 200 && !given_up(); ++i) EXPECT_EQ(Run(team), Undisturbed());
  EXPECT_TRUE(given_up());
  EXPECT_EQ(Processes().size(), 4u);
}

TEST_F(WorkerTeamTest, EveryProcessMayDieAfterAFewTasks) {
  WorkerTeam team = Team({"--as", "kill", "--after", "4"}, 2);
  EXPECT_EQ(Run(team, 12), Undisturbed(12));
  EXPECT_GE(Processes().size(), 6u);
}

TEST_F(WorkerTeamTest, ATaskThatNobodyCanDoEndsTheRunInOneLine) {
  auto tasks = FakeTasks(3);
  tasks[0].candidate = -2;
  for (int workers : {1, 2}) {
    WorkerTeam team = Team({"--as", "die"}, workers);
    ASSERT_NE(team.Greet({}), nullptr);
    team.Share(FakeDocuments());
    const std::string refusal = testing::RefusalOf(
        [&] { team.Run(tasks, [](const Task&, const Score&) { ADD_FAILURE(); }, {}); });
    EXPECT_THAT(refusal,
                AnyOf(HasSubstr("baseline 2 on 'all' failed 3 times"),
                      HasSubstr(" on 'some' failed 3 times"), HasSubstr("no worker is left")));
    EXPECT_THAT(refusal, HasSubstr("the last words"));
  }
  ExpectNoProcessLeft();
}

TEST_F(WorkerTeamTest, WorkersThatAreNotAlikeAreRefusedAtOnce) {
  for (const std::string other :
       {"--fingerprint=fake 2", "--pairs=8", "--vocab=5000", "--protocol=2"}) {
    std::filesystem::remove(Trace());
    log_.clear();
    // The second comes later than the first.
    const std::string command = "test {worker} = 0 || sleep 0.7; exec python3 " + FakeWorker()[1] +
                                " --trace " + Trace() + " --seconds 0.1 $(test {worker} = 1 && " +
                                "echo '" + other + "' | tr ' ' _)";
    WorkerTeam team(Options({"sh", "-c", command}, 2), folder_ / "tokens",
                    [this](const std::string& line) { log_.push_back(line); });
    const auto refused = [this] { return Said("worker 1: ", "it gets no more tasks"); };
    for (int i = 0; i < 200 && !refused(); ++i) Run(team, 1);
    EXPECT_TRUE(refused()) << other;
    EXPECT_EQ(Processes().size(), 2u) << other;
  }
}

TEST_F(WorkerTeamTest, WhatIsNoWorkerIsRefusedBeforeAnyTask) {
  const auto refusal = [&](std::vector<std::string> command, double start = 60) {
    WorkerOptions options = Options(std::move(command), 2);
    options.start_timeout = start;
    WorkerTeam team(options, folder_ / "tokens", [](const std::string&) {});
    return testing::RefusalOf([&] { team.Greet({}); });
  };
  EXPECT_THAT(refusal({"/nowhere/worker"}),
              HasSubstr("/nowhere/worker: cannot be started: No such"));
  EXPECT_THAT(refusal({"echo", "hi"}), HasSubstr("not valid JSON"));
  EXPECT_THAT(refusal({"true"}), HasSubstr("exit code 0"));
  EXPECT_THAT(refusal(FakeWorker({"--as", "early"})), HasSubstr("no model here"));
  EXPECT_THAT(refusal(FakeWorker({"--protocol", "2"})), HasSubstr("protocol: 2; allowed: 1"));
  EXPECT_THAT(refusal(FakeWorker({"--as", "mute"}), 0.5), HasSubstr("no hello for 500 ms"));
}

TEST_F(WorkerTeamTest, ALateHelloIsSpokenOfOnceAndWaitedFor) {
  WorkerOptions options = Options({"sh", "-c", "sleep 1.5; exec python3 " + FakeWorker()[1]}, 1);
  options.start_notice = 0.2;
  WorkerTeam team(options, folder_ / "tokens",
                  [this](const std::string& line) { log_.push_back(line); });
  ASSERT_NE(team.Greet({}), nullptr);
  EXPECT_THAT(log_, ElementsAre("worker 0: has not said hello yet; it is given 60 s from its start",
                                StartsWith("worker 0: is there: ")));
}

TEST_F(WorkerTeamTest, AStopEndsWorkersSoonAndReportsNoMore) {
  WorkerTeam team = Team({"--seconds", "60"}, 2);
  ASSERT_NE(team.Greet({}), nullptr);
  team.Share(FakeDocuments());
  std::stop_source stop;
  std::jthread later([&] {
    std::this_thread::sleep_for(std::chrono::milliseconds(500));
    stop.request_stop();
  });
  const auto began = Clock::now();
  const auto tasks = FakeTasks(3);
  team.Run(
      tasks, [](const Task&, const Score&) { ADD_FAILURE(); }, stop.get_token());
  team.Dismiss();
  EXPECT_LE(SecondsSince(began), 8);
  ExpectNoProcessLeft();
}

TEST_F(WorkerTeamTest, AStopIsHeardBeforeTheFirstHello) {
  WorkerTeam team = Team({"--as", "mute"});
  std::stop_source stop;
  stop.request_stop();
  EXPECT_EQ(team.Greet(stop.get_token()), nullptr);
}

TEST_F(WorkerTeamTest, IdleWorkersAreToldToEnd) {
  {
    WorkerTeam team = Team({}, 2);
    Run(team);
  }
  const std::string trace = SlurpFile(Trace());
  EXPECT_NE(trace.find("shutdown"), trace.rfind("shutdown"));
  ExpectNoProcessLeft();
}

TEST_F(WorkerTeamTest, WhatACallerThrowsComesThroughAndIsNoWorkersFault) {
  WorkerTeam team = Team({});
  team.Greet({});
  team.Share(FakeDocuments());
  const auto tasks = FakeTasks(3);
  EXPECT_REFUSED(
      team.Run(tasks, [](const Task&, const Score&) { throw InputError("disk full"); }, {}),
      "disk full");
  EXPECT_EQ(Run(team), Undisturbed());
}

}  // namespace
}  // namespace longrope
