// A whole schedule as a user runs it.
#include <gtest/gtest.h>
#include <signal.h>

#include <chrono>
#include <filesystem>
#include <set>
#include <thread>

#include "tests/integration/program.h"
#include "tests/support/schedule_yaml.h"

namespace longrope {
namespace fs = std::filesystem;
namespace {

using testing::ExpectRefused;
using testing::Files;
using testing::Longrope;
using testing::Output;
using testing::Process;
using testing::RunProcess;
using testing::ScheduleYaml;
using testing::SlurpFile;
using testing::TempFolder;

// What must not depend on how often a run was killed: every result, the trained model too.
Files Results(const fs::path& run) {
  const std::set<std::string> names = {
      "history.csv",  "checkpoint.h5",    "factors.json", "best.json",      "table.csv",
      "results.json", "measurements.csv", "config.json",  "done.json",      "model.safetensors",
      "tokens.u32",   "input.json",       "stage.yaml",   "tokenizer.model"};
  Files files;
  for (const auto& entry : fs::recursive_directory_iterator(run)) {
    if (!names.contains(entry.path().filename().string())) continue;
    files[fs::relative(entry.path(), run).string()] = Sha256Hex(SlurpFile(entry.path()));
  }
  return files;
}

// Trains for a moment: changes a weight, writes slowly, replaces the folder at the end.
constexpr const char* kTrain =
    "test -s {tokens}; rm -rf {output}.new; cp -r {model} {output}.new; printf 77 | dd "
    "of={output}.new/model.safetensors bs=1 seek=4000000 conv=notrunc 2> /dev/null; sleep 0.4; rm "
    "-rf "
    "{output}; mv {output}.new {output}";

TEST(ScheduleCommand, KilledInAnyStageItResumesToTheSameBytes) {
  const TempFolder undisturbed, disturbed;
  const Output whole = RunProcess(Longrope({"search", ScheduleYaml(undisturbed.path(), kTrain)}));
  ASSERT_EQ(whole.code, 0) << whole.err;
  const auto wanted = Results(undisturbed / "run");
  ASSERT_GT(wanted.size(), 20u);

  const std::string job = ScheduleYaml(disturbed.path(), kTrain);
  const fs::path run = disturbed / "run";
  // A kill soon after each of these appeared.
  const char* const marks[] = {"job.yaml",
                               "one/checkpoint.h5",
                               "one/history.csv",
                               "tune/stage.yaml",
                               "tune/leg-1/log.txt",
                               "tune/leg-1/input",
                               "two/checkpoint.h5",
                               "two/best.json",
                               "short/256/checkpoint.h5",
                               "short/300/best.json",
                               "rows/scores.csv",
                               "rows/stage.yaml"};
  int kills = 0;
  std::string said;
  // Goes on until the mark is there and kills; false if the run ends before.
  const auto kill_at = [&](const char* mark) {
    for (;;) {
      Process process(fs::exists(run / "job.yaml") ? Longrope({"resume", run.string()})
                                                   : Longrope({"search", job}));
      const bool seen = process.WaitFor([&] { return fs::exists(run / mark); });
      if (seen) {
        std::this_thread::sleep_for(std::chrono::milliseconds(37 * kills));
        process.Signal(SIGKILL);
      }
      // What a killed fine-tune started may hold its log for a moment more: refused, as it should.
      said = process.Wait().err;
      if (seen || said.find("still works here") == std::string::npos) return seen;
      std::this_thread::sleep_for(std::chrono::milliseconds(50));
    }
  };
  for (const char* mark : marks) {
    if (!kill_at(mark)) break;
    ++kills;
  }
  EXPECT_GE(kills, 9) << said;
  const Output last = RunProcess(Longrope({"resume", run.string()}));
  ASSERT_EQ(last.code, 0) << last.err;
  EXPECT_EQ(Results(run), wanted);
  EXPECT_FALSE(fs::exists(run / "tune/leg-1/output.new"));
}

TEST(ScheduleCommand, ASignalStopsTheFineTuneToo) {
  const TempFolder folder;
  const std::string job = ScheduleYaml(folder.path(),
                                       "trap 'exit 75' TERM; echo training; if [ -e {output}.go ]; "
                                       "then cp -r {model} {output}; exit "
                                       "0; fi; while :; do sleep 0.05; done");
  const fs::path log = folder / "run/tune/leg-1/log.txt";
  Process process(Longrope({"search", job}));
  ASSERT_TRUE(process.WaitFor([&] { return fs::exists(log) && !SlurpFile(log).empty(); }));
  process.Signal(SIGTERM);
  const Output output = process.Wait();
  EXPECT_EQ(output.code, 75) << output.err;
  EXPECT_NE(output.err.find("go on with \"longrope resume"), std::string::npos) << output.err;
  testing::WriteFile(folder / "run/tune/leg-1/output.go", "");
  EXPECT_EQ(RunProcess(Longrope({"resume", (folder / "run").string()})).code, 0);
}

TEST(ScheduleCommand, ShowsThePipelineAndSetsStagesAside) {
  const TempFolder folder;
  const std::string job = ScheduleYaml(folder.path(), "");
  const fs::path run = folder / "run";
  const Output waiting = RunProcess(Longrope({"search", job}));
  EXPECT_EQ(waiting.code, 75) << waiting.err;
  EXPECT_NE(waiting.err.find("put the checkpoint"), std::string::npos);
  const Output before = RunProcess(Longrope({"show", run.string()}));
  EXPECT_EQ(before.code, 0) << before.err;
  for (const char* part :
       {"stage one (search on base, 320 tokens", "finished", "comes next",
        "stage tune (finetune of base): 0 of 1 legs\n  leg 1 waits for a checkpoint: train ",
        "tune/leg-1/output, then longrope resume ", "stage short-256 (readjust on tune", "waits"}) {
    EXPECT_NE(before.out.find(part), std::string::npos) << part << " in " << before.out;
  }
  fs::copy(run / "tune/leg-1/input", run / "tune/leg-1/output", fs::copy_options::recursive);
  const Output done = RunProcess(Longrope({"resume", run.string()}));
  ASSERT_EQ(done.code, 0) << done.err;
  EXPECT_NE(done.out.find("\nrows: perplexity "), std::string::npos) << done.out;
  const Output after = RunProcess(Longrope({"show", run.string()}));
  for (const char* part : {": finished\n", "1 of 1 legs\n  finished", "\nrows: perplexity ",
                           "% against base:none, with intervals of 95 % over documents"}) {
    EXPECT_NE(after.out.find(part), std::string::npos) << part << " in " << after.out;
  }

  ExpectRefused(RunProcess(Longrope({"resume", run.string(), "--from", "tow"})),
                {"--from tow", "one, tune, two, short, rows"});
  ExpectRefused(RunProcess(Longrope(
                    {"resume", run.string(), "--from", "short", "--set", "stages.one.bound=3"})),
                {"stages.one.bound"});
  EXPECT_FALSE(fs::exists(run / "aside-1")) << "nothing is moved for a job that is refused";
  const std::string one = SlurpFile(run / "one/history.csv");
  const Output again = RunProcess(Longrope(
      {"resume", run.string(), "--from", "short", "--set", "stages.short.warm_evaluations=8"}));
  ASSERT_EQ(again.code, 0) << again.err;
  EXPECT_NE(again.err.find("set aside in " + (run / "aside-1").string() + ": short, rows"),
            std::string::npos)
      << again.err;
  EXPECT_TRUE(fs::exists(run / "aside-1/short/256/history.csv"));
  EXPECT_NE(SlurpFile(run / "short/256/history.csv"),
            SlurpFile(run / "aside-1/short/256/history.csv"));
  EXPECT_EQ(SlurpFile(run / "one/history.csv"), one);
}

}  // namespace
}  // namespace longrope
