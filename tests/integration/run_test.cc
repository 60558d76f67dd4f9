// Whole searches: what they leave behind, how they stop and go on.
#include <csignal>
#include <nlohmann/json.hpp>
#include <thread>

#include "search/rng.h"
#include "tests/integration/program.h"

namespace longrope {
namespace fs = std::filesystem;
namespace {

using testing::ExpectRefused;
using testing::FinalFiles;
using testing::Longrope;
using testing::Output;
using testing::Process;
using testing::RunProcess;
using testing::SmallJob;
using testing::TempFolder;

TEST(Search, LeavesTheWholeRunFolderAndSaysWhereTheFactorsAre) {
  const TempFolder folder;
  const Output output = RunProcess(Longrope({"search", SmallJob(folder.path())}));
  ASSERT_EQ(output.code, 0) << output.err;
  const fs::path run = folder / "run";
  for (const char* name : {"job.yaml", "lock", "log.txt", "factors.json", "table.csv",
                           "a/checkpoint.h5", "a/checkpoint.previous.h5", "a/history.csv",
                           "a/times.csv", "a/best.json", "a/factors.json", "a/table.csv"}) {
    EXPECT_TRUE(fs::exists(run / name)) << name;
  }
  EXPECT_EQ(testing::Snapshot(run).size(), 13u);  // no temporary is left
  EXPECT_NE(output.out.find("factors: " + (run / "factors.json").string() + "\n"),
            std::string::npos);
  EXPECT_NE(output.out.find("searched"), std::string::npos);
  EXPECT_NE(output.err.find("'0'"), std::string::npos);  // the documents are named in the log
  // 6 of generation 0 and twice 2 + 2 children.
  const std::string history = testing::SlurpFile(run / "a/history.csv");
  EXPECT_EQ(std::ranges::count(history, '\n'), 1 + 14);
  for (const auto& [name, digest] : FinalFiles(run)) {
    const std::string bytes = testing::SlurpFile(run / name);
    EXPECT_EQ(bytes.find(folder.path().string()), std::string::npos) << name << " holds a path";
  }
  // The winner's file is what eval scores it with, to the last bit.
  const auto factors = nlohmann::json::parse(testing::SlurpFile(run / "factors.json"));
  const auto& corpus = factors["corpus"]["a"]["held_out"][0];
  const std::string book =
      (folder / "texts").string() + "/" + std::string(corpus["title"]) + ".txt";
  const Output eval =
      RunProcess(Longrope({"eval", "--model", testing::Tiny(), "--factors", run / "factors.json",
                           "--text", book, "--lengths", "320", "--json"}));
  ASSERT_EQ(eval.code, 0) << eval.err;
  EXPECT_EQ(nlohmann::json::parse(eval.out)["perplexity"], factors["scores"]["a"]["held_out"]);
}

TEST(Search, RefusesAUsedFolderAndResumeOfAFinishedRunIsDone) {
  const TempFolder folder;
  const std::string job = SmallJob(folder.path());
  ASSERT_EQ(RunProcess(Longrope({"search", job})).code, 0);
  const auto before = FinalFiles(folder / "run");
  ExpectRefused(RunProcess(Longrope({"search", job})), {"longrope resume", "output.folder"});
  const Output again = RunProcess(Longrope({"resume", folder / "run"}));
  EXPECT_EQ(again.code, 0);
  EXPECT_NE(again.err.find("finished"), std::string::npos);
  EXPECT_EQ(FinalFiles(folder / "run"), before);
  const Output show = RunProcess(Longrope({"show", folder / "run"}));
  EXPECT_EQ(show.code, 0);
  EXPECT_NE(show.out.find("14 of 14 evaluations"), std::string::npos) << show.out;
  EXPECT_NE(show.out.find("finished"), std::string::npos);
}

TEST(Search, ThreadsDoNotChangeAByte) {
  testing::Files expected;
  for (const char* threads : {"1", "2", "3"}) {
    const TempFolder folder;
    ASSERT_EQ(RunProcess(Longrope({"search", SmallJob(folder.path()), "--threads", threads})).code,
              0);
    const auto files = FinalFiles(folder / "run");
    if (expected.empty()) expected = files;
    EXPECT_EQ(files, expected) << threads << " threads";
  }
}

int64_t LinesOf(const fs::path& file) {
  if (!fs::exists(file)) return 0;
  const std::string text = testing::SlurpFile(file);
  return std::ranges::count(text, '\n');
}

// Thirty moments, from before the model loads to after the last score, in the warm start and in
// races, by what the run has done: how busy the machine is makes no difference.
TEST(Search, KilledAtAnyTimeItResumesToTheSameBytes) {
  const TempFolder folder;
  std::vector<std::string> search = {"search", SmallJob(folder.path()), "--threads", "1"};
  for (const char* setting :
       {"length=288", "documents=3", "held_out=0", "race_confidence=0.55", "warm_evaluations=4",
        "warm_batch=4", "start_tokens=[0, 16]", "population=3", "parents=3"}) {
    search.insert(search.end(), {"--set", std::string("stages.a.") + setting});
  }
  search = Longrope(search);
  const fs::path times = folder / "run/a/times.csv";
  ASSERT_EQ(RunProcess(search).code, 0);
  const auto scores = static_cast<uint32_t>(LinesOf(times));
  const auto expected = FinalFiles(folder / "run");
  const Output whole = RunProcess(Longrope({"show", folder / "run"}));
  ASSERT_NE(whole.out.find("racing stopped"), std::string::npos) << whole.out;
  Rng rng(21, "kills", 0, 0);
  int killed = 0;
  for (int moment = 0; moment < 15; ++moment) {
    fs::remove_all(folder / "run");
    std::vector<std::string> command = search;
    for (int kills = 0; kills < 2; ++kills) {
      Process process(command);
      const auto target = static_cast<int64_t>(rng.Below(scores));
      process.WaitFor([&] { return LinesOf(times) >= target; });
      std::this_thread::sleep_for(std::chrono::milliseconds(rng.Below(30)));
      process.Signal(SIGKILL);
      killed += process.Wait().signal == SIGKILL;
      if (fs::exists(folder / "run/job.yaml")) command = Longrope({"resume", folder / "run"});
    }
    const Output output = RunProcess(command);
    ASSERT_EQ(output.code, 0) << output.err;
    ASSERT_EQ(FinalFiles(folder / "run"), expected) << "moment " << moment;
  }
  EXPECT_GT(killed, 15);
}

TEST(Search, StopsOnASignalWithExitCode75AndGoesOn) {
  const TempFolder folder;
  const std::string job = SmallJob(folder.path());
  ASSERT_EQ(RunProcess(Longrope({"search", job})).code, 0);
  const auto expected = FinalFiles(folder / "run");
  for (int signal : {SIGTERM, SIGINT, SIGUSR1}) {
    fs::remove_all(folder / "run");
    Process process(Longrope({"search", job}));
    ASSERT_TRUE(process.WaitFor([&] { return fs::exists(folder / "run/a/best.json"); }));
    process.Signal(signal);
    process.Signal(signal);  // a second one corrupts nothing
    const Output stopped = process.Wait();
    EXPECT_EQ(stopped.code, 75) << stopped.err;
    EXPECT_NE(stopped.err.find("longrope resume"), std::string::npos);
    EXPECT_FALSE(fs::exists(folder / "run/factors.json"));
    const Output show = RunProcess(Longrope({"show", folder / "run"}));
    EXPECT_NE(show.out.find("not finished"), std::string::npos);
    ASSERT_EQ(RunProcess(Longrope({"resume", folder / "run"})).code, 0);
    EXPECT_EQ(FinalFiles(folder / "run"), expected);
  }
}

TEST(Search, ASecondProcessIsRefusedAndChangesNothing) {
  const TempFolder folder;
  const std::string job = SmallJob(folder.path());
  Process first(Longrope({"search", job}));
  ASSERT_TRUE(first.WaitFor([&] { return fs::exists(folder / "run/a/best.json"); }));
  first.Halt();  // holds still while the other tries
  const auto before = testing::Snapshot(folder / "run");
  ExpectRefused(RunProcess(Longrope({"resume", folder / "run"})), {"process ", "is working"});
  EXPECT_NE(RunProcess(Longrope({"show", folder / "run"})).out.find("is working on it"),
            std::string::npos);
  ExpectRefused(RunProcess(Longrope({"search", job})), {"longrope resume"});
  EXPECT_EQ(testing::Snapshot(folder / "run"), before);
  first.Signal(SIGCONT);
  EXPECT_EQ(first.Wait().code, 0);
}

TEST(Search, BudgetsMayBeRaisedAndOtherKeysNot) {
  const TempFolder folder;
  const std::string job = SmallJob(folder.path());
  ASSERT_EQ(RunProcess(Longrope({"search", job, "--set", "stages.a.generations=4", "--set",
                                 "output.folder=" + (folder / "whole").string()}))
                .code,
            0);
  ASSERT_EQ(RunProcess(Longrope({"search", job})).code, 0);
  const auto resume = [&](const std::string& setting) {
    return RunProcess(Longrope({"resume", folder / "run", "--set", setting}));
  };
  ExpectRefused(resume("stages.a.bound=3"), {"stages.a.bound"});
  ExpectRefused(resume("stages.a.generations=1"), {"stages.a.generations", "raised"});
  ExpectRefused(resume("output.folder=elsewhere"), {"stays in its folder"});
  const Output raised = resume("stages.a.generations=4");
  ASSERT_EQ(raised.code, 0) << raised.err;
  auto files = FinalFiles(folder / "run"), whole = FinalFiles(folder / "whole");
  // The checkpoint also keeps what the earlier winner scored on held-out documents.
  files.erase("a/checkpoint.h5");
  whole.erase("a/checkpoint.h5");
  EXPECT_EQ(files, whole);
  // A run may be moved.
  fs::rename(folder / "run", folder / "moved");
  EXPECT_EQ(RunProcess(Longrope({"resume", folder / "moved"})).code, 0);
}

TEST(Search, ADryRunPrintsTheJobAndItsCostAndWritesNothing) {
  const TempFolder folder;
  const std::string job = SmallJob(folder.path());
  const auto before = testing::Snapshot(folder.path());
  const Output output = RunProcess(Longrope({"search", job, "--dry-run"}));
  EXPECT_EQ(output.code, 0) << output.err;
  for (const char* part :
       {"population: 6", "evaluations: 14", "scores: ", "memory: ", "time here: ", "fitness: ",
        "held-out: ", "on one GPU in bf16: weights 0.01 GB, "}) {
    EXPECT_NE(output.out.find(part), std::string::npos) << part << " in " << output.out;
  }
  EXPECT_EQ(testing::Snapshot(folder.path()), before);
  // What a card would take is told without one.
  const Output card =
      RunProcess(Longrope({"search", job, "--dry-run", "--set", "backend.name=cuda", "--set",
                           "backend.dtype=f32", "--set", "backend.memory_gb=0.5"}));
  EXPECT_EQ(card.code, 0) << card.err;
  EXPECT_NE(card.out.find("on one GPU in f32: weights 0.02 GB, "), std::string::npos) << card.out;
  EXPECT_NE(card.out.find("of 0.50 GB (backend.memory_gb): 0."), std::string::npos) << card.out;
  const Output small =
      RunProcess(Longrope({"search", job, "--dry-run", "--set", "backend.memory_gb=0.01"}));
  EXPECT_NE(small.out.find("of 0.01 GB (backend.memory_gb): does not fit"), std::string::npos)
      << small.out << small.err;
  // The shape alone is enough.
  fs::create_directory(folder / "config-only");
  fs::copy_file(testing::SourcePath("data/tiny/config.json"), folder / "config-only/config.json");
  const Output shape = RunProcess(Longrope(
      {"search", job, "--dry-run", "--set", "model.path=" + (folder / "config-only").string()}));
  EXPECT_EQ(shape.code, 0) << shape.err;
  EXPECT_NE(shape.out.find("not checked"), std::string::npos);
}

TEST(Search, ShowReadsTheCheckpointBeforeADamagedOne) {
  const TempFolder folder;
  ASSERT_EQ(RunProcess(Longrope({"search", SmallJob(folder.path())})).code, 0);
  fs::resize_file(folder / "run/a/checkpoint.h5", 1000);
  const Output show = RunProcess(Longrope({"show", folder / "run"}));
  EXPECT_EQ(show.code, 0) << show.err;
  EXPECT_NE(show.err.find("trying the checkpoint before it"), std::string::npos);
  EXPECT_NE(show.out.find("best so far"), std::string::npos);
}

TEST(Search, ProgressOnATerminalIsABarThatFitsIt) {
  if (!testing::HasTerminals()) GTEST_SKIP() << "no terminals here: is /dev/pts mounted?";
  const TempFolder folder;
  const Output output =
      RunProcess(Longrope({"search", SmallJob(folder.path())}), {.terminal_columns = 72});
  ASSERT_EQ(output.code, 0);
  const std::string clear = "\r\033[K";
  size_t bars = 0;
  for (size_t at = output.err.find(clear); at != std::string::npos;) {
    const size_t next = output.err.find(clear, at + 1);
    const std::string bar = output.err.substr(at + clear.size(), next - at - clear.size());
    at = next;
    if (!bar.starts_with("[")) continue;  // cleared for a log line
    if (bar.find(" left") != std::string::npos) {
      ++bars;
      EXPECT_LT(bar.substr(0, bar.find("\r")).size(), 72u) << bar;
      EXPECT_NE(bar.find("a: "), std::string::npos) << bar;
      EXPECT_NE(bar.find(", best "), std::string::npos) << bar;
    }
  }
  EXPECT_GE(bars, 28u);  // one a score
}

}  // namespace
}  // namespace longrope
