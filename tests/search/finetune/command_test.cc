#include "search/finetune/command.h"

#include <gtest/gtest.h>
#include <signal.h>

#include <chrono>
#include <fstream>
#include <thread>

#include "eval/errors.h"
#include "tests/support/process.h"
#include "tests/support/refusal.h"
#include "tests/support/temp_folder.h"

namespace longrope {
namespace {

using testing::SlurpFile;
using testing::TempFolder;

class Lines {
 public:
  std::vector<std::string> all;
  std::function<void(const std::string&)> Take() {
    return [this](const std::string& line) { all.push_back(line); };
  }
};

TEST(Placeholders, AreFilledAndQuotedForTheShell) {
  EXPECT_EQ(FilledCommand("train {model} --n={steps} {model}",
                          {{"model", "a folder/it's"}, {"steps", "4"}}),
            "train 'a folder/it'\\''s' --n='4' 'a folder/it'\\''s'");
  EXPECT_EQ(FilledCommand("echo ${HOME} {} {A} {a b}", {}), "echo ${HOME} {} {A} {a b}");
}

TEST(Placeholders, ThatAreNoneAreNamed) {
  EXPECT_EQ(UnknownPlaceholder("a {model} {lenght} {x}"), "lenght");
  EXPECT_EQ(UnknownPlaceholder("a {model} ${lenght} awk '{ print }'"), "");
  for (const std::string& name : CommandPlaceholders()) {
    EXPECT_EQ(UnknownPlaceholder("{" + name + "}"), "");
  }
}

TEST(RunCommand, TellsEveryLineAndKeepsThemAll) {
  const TempFolder folder;
  testing::WriteFile(folder / "log", "before\n");
  Lines lines;
  const CommandEnd end = RunCommand("echo one; echo two >&2; echo; printf three; exit 7",
                                    folder / "log", lines.Take(), {});
  EXPECT_EQ(end.exit_code, 7);
  EXPECT_FALSE(end.stopped);
  EXPECT_EQ(end.last_line, "three");
  EXPECT_EQ(lines.all, (std::vector<std::string>{"one", "two", "three"}));
  EXPECT_EQ(SlurpFile(folder / "log"), "before\none\ntwo\n\nthree");
}

TEST(RunCommand, ThatIsMissingSaysSo) {
  const TempFolder folder;
  const CommandEnd end = RunCommand("no-such-program", folder / "log", [](auto&) {}, {});
  EXPECT_EQ(end.exit_code, 127);
  EXPECT_NE(end.last_line.find("no-such-program"), std::string::npos);
}

TEST(RunCommand, ThatASignalEndsHasItsNumber) {
  const TempFolder folder;
  EXPECT_EQ(RunCommand("kill -9 $$", folder / "log", [](auto&) {}, {}).exit_code, 128 + SIGKILL);
}

TEST(RunCommand, IsAskedToStopAndWaitedFor) {
  const TempFolder folder;
  std::stop_source source;
  const CommandEnd end = RunCommand(
      "trap 'sleep 0.3; echo saved; exit 75' TERM; echo ready; while :; do sleep 0.05; done",
      folder / "log",
      [&](const std::string& line) {
        if (line == "ready") source.request_stop();
      },
      source.get_token());
  EXPECT_TRUE(end.stopped);
  EXPECT_EQ(end.exit_code, 75);
  EXPECT_EQ(end.last_line, "saved");
}

// The shell dies of the signal at once; what it started, which it does not become, saves.
TEST(RunCommand, WaitsForAllThatTheCommandStarted) {
  const TempFolder folder;
  std::stop_source source;
  const CommandEnd end = RunCommand(
      "sh -c 'trap \"sleep 0.5; echo saved; exit 75\" TERM; echo ready; while :; do sleep 0.05; "
      "done' && true",
      folder / "log",
      [&](const std::string& line) {
        if (line == "ready") source.request_stop();
      },
      source.get_token());
  EXPECT_TRUE(end.stopped);
  EXPECT_EQ(end.last_line, "saved");
}

TEST(RunCommand, IsStoppedThoughTheStopCameBeforeItBegan) {
  const TempFolder folder;
  std::stop_source source;
  source.request_stop();
  const auto began = std::chrono::steady_clock::now();
  const CommandEnd end = RunCommand(
      "sleep 20", folder / "log", [](auto&) {}, source.get_token());
  EXPECT_TRUE(end.stopped);
  EXPECT_LT(std::chrono::steady_clock::now() - began, std::chrono::seconds(10));
}

// What a command leaves running in the background still holds the log: nobody else may write there.
TEST(RunCommand, IsRefusedWhileAnEarlierOneStillWorks) {
  const TempFolder folder;
  RunCommand("sleep 0.7 > /dev/null 2>&1 & echo started", folder / "log", [](auto&) {}, {});
  EXPECT_REFUSED(RunCommand("true", folder / "log", [](auto&) {}, {}), "still works here");
  std::this_thread::sleep_for(std::chrono::milliseconds(1200));
  EXPECT_EQ(RunCommand("true", folder / "log", [](auto&) {}, {}).exit_code, 0);
}

}  // namespace
}  // namespace longrope
