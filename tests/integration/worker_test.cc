// Searches whose scores come from other processes, and this program as such a process.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <signal.h>

#include <chrono>
#include <functional>
#include <nlohmann/json.hpp>
#include <sstream>
#include <thread>

#include "tests/integration/program.h"

namespace longrope {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;
using namespace testing;
using Json = nlohmann::json;
namespace fs = std::filesystem;

// "[a, 'b c']" for --set.
std::string List(const std::vector<std::string>& words) {
  std::string text = "[";
  for (const std::string& word : words) text += (text.size() > 1 ? ", '" : "'") + word + "'";
  return text + "]";
}

class WorkerTest : public ::testing::Test {
 protected:
  // `longrope search` of the small job into a folder of the test's.
  std::vector<std::string> Search(const std::string& run, std::vector<std::string> settings) const {
    std::vector<std::string> command = Longrope({"search", job_});
    settings.push_back("output.folder=" + Run(run).string());
    for (const std::string& setting : settings) {
      command.insert(command.end(), {"--set", setting});
    }
    return command;
  }
  // A run by the built-in evaluator, made once for all tests.
  static fs::path Own() {
    static const TempFolder folder;
    static const int code = RunProcess(Longrope({"search", SmallJob(folder.path())})).code;
    EXPECT_EQ(code, 0);
    return folder / "run";
  }
  fs::path Run(const std::string& run) const { return folder_ / run; }
  // A setting: this program as a worker, each process noting its number in a file first.
  std::string OwnWorkers() const {
    return "backend.command=" + List({"sh", "-c",
                                      "echo $$ >> " + Pids() + "; exec " + LONGROPE_PROGRAM +
                                          " worker " + job_ + " --threads 1"});
  }
  std::string FakeWorkers(std::vector<std::string> arguments = {}) const {
    arguments.insert(arguments.begin(),
                     {"python3", SourcePath("tests/support/fake_worker.py").string()});
    return "backend.command=" + List(arguments);
  }
  std::string Pids() const { return (folder_ / "pids").string(); }
  std::vector<pid_t> Workers() const {
    std::istringstream numbers(fs::exists(Pids()) ? SlurpFile(Pids()) : "");
    std::vector<pid_t> all;
    for (pid_t one = 0; numbers >> one;) all.push_back(one);
    return all;
  }
  // data/tiny with another config.json, in a folder of that name.
  std::string ChangedTiny(const std::string& name,
                          const std::function<void(Json* config)>& change) const {
    const fs::path model = folder_ / name;
    fs::create_directories(model);
    Json config = Json::parse(SlurpFile(Tiny() + "/config.json"));
    change(&config);
    WriteFile(model / "config.json", config.dump());
    for (const char* file : {"model.safetensors", "tokenizer.model", "tokenizer_config.json"}) {
      fs::create_symlink(fs::path(Tiny()) / file, model / file);
    }
    return model.string();
  }
  // Scores that a run has made durable.
  int64_t Scores(const std::string& run) const {
    const fs::path times = Run(run) / "a/times.csv";
    const std::string text = fs::exists(times) ? SlurpFile(times) : "";
    return std::ranges::count(text, '\n');
  }
  static void ExpectSameResults(const fs::path& one, const fs::path& other) {
    for (const char* name :
         {"a/history.csv", "a/best.json", "a/factors.json", "factors.json", "table.csv"}) {
      EXPECT_EQ(SlurpFile(one / name), SlurpFile(other / name)) << name;
    }
  }
  // Nothing that a host started outlives it for long.
  void ExpectNoWorkerLeft() const {
    const auto end = std::chrono::steady_clock::now() + std::chrono::seconds(20);
    for (pid_t worker : Workers()) {
      while (::kill(worker, 0) == 0 && std::chrono::steady_clock::now() < end) {
        std::this_thread::sleep_for(std::chrono::milliseconds(10));
      }
      EXPECT_NE(::kill(worker, 0), 0) << worker;
    }
  }

  TempFolder folder_;
  std::string job_ = SmallJob(folder_.path());
};

TEST_F(WorkerTest, ThisProgramAsAWorkerGivesItsOwnHistory) {
  const Output output = RunProcess(Search("workers", {OwnWorkers(), "backend.workers=2"}));
  ASSERT_EQ(output.code, 0) << output.err;
  EXPECT_THAT(output.err, HasSubstr("worker 1: is there: longrope "));
  EXPECT_EQ(Workers().size(), 2u);
  ExpectSameResults(Own(), Run("workers"));
  EXPECT_FALSE(fs::exists(Run("workers") / "worker.tokens"));
  ExpectNoWorkerLeft();
}

TEST_F(WorkerTest, TheJobMayNameItsOwnWorker) {
  WriteFile(job_, SlurpFile(job_) + "backend: {command: " +
                      List({LONGROPE_PROGRAM, "worker", job_, "--threads", "1"}) + "}\n");
  const Output output = RunProcess(Search("workers", {}));
  ASSERT_EQ(output.code, 0) << output.err;
  ExpectSameResults(Own(), Run("workers"));
}

TEST_F(WorkerTest, KilledWorkersLoseNothing) {
  Process search(Search("workers", {OwnWorkers(), "backend.workers=2"}));
  size_t killed = 0;  // never one again: its number may be another's by now
  for (int64_t scores : {3, 12, 30}) {
    ASSERT_TRUE(search.WaitFor(
        [&] { return Scores("workers") >= scores && Workers().size() >= killed + 2; }));
    for (const auto workers = Workers(); killed < workers.size(); ++killed) {
      ::kill(workers[killed], SIGKILL);
    }
  }
  const Output output = search.Wait();
  ASSERT_EQ(output.code, 0) << output.err;
  EXPECT_THAT(output.err, HasSubstr("it ended: signal 9"));
  EXPECT_GT(Workers().size(), 4u);
  ExpectSameResults(Own(), Run("workers"));
}

TEST_F(WorkerTest, ASignalEndsTheRunAndItsWorkersAndResumeGoesOn) {
  ASSERT_EQ(RunProcess(Search("whole", {FakeWorkers()})).code, 0);
  for (int signal : {SIGTERM, SIGINT}) {
    const std::string run = "run" + std::to_string(signal);
    Process search(Search(run, {FakeWorkers({"--seconds", "0.1"}), "backend.workers=2"}));
    ASSERT_TRUE(search.WaitFor([&] { return Scores(run) >= 5; }));
    search.Signal(signal);
    const Output stopped = search.Wait();
    EXPECT_EQ(stopped.code, 75) << stopped.err;
    EXPECT_FALSE(fs::exists(Run(run) / "worker.tokens"));
    const Output resumed = RunProcess(
        Longrope({"resume", Run(run).string(), "--set", FakeWorkers()}));  // in another way
    ASSERT_EQ(resumed.code, 0) << resumed.err;
    ExpectSameResults(Run("whole"), Run(run));
  }
}

TEST_F(WorkerTest, ASignalIsHeardBeforeAnyWorkerIsThereAndNothingIsLeft) {
  Process search(Search(
      "run", {"backend.command=" + List({"sh", "-c", "echo $$ >> " + Pids() + "; sleep 600"})}));
  ASSERT_TRUE(search.WaitFor([&] { return !Workers().empty(); }));
  search.Signal(SIGTERM);
  EXPECT_EQ(search.Wait().code, 75);
  EXPECT_FALSE(fs::exists(Run("run")));
  ExpectNoWorkerLeft();
}

TEST_F(WorkerTest, WorkersDoNotOutliveAHostThatIsKilled) {
  Process search(Search("run", {OwnWorkers(), "backend.workers=2"}));
  ASSERT_TRUE(search.WaitFor([&] { return Scores("run") >= 3; }));
  search.Signal(SIGKILL);
  search.Wait();
  EXPECT_EQ(Workers().size(), 2u);
  ExpectNoWorkerLeft();
  // What it had made durable is not scored again.
  const Output resumed = RunProcess(Longrope({"resume", Run("run").string()}));
  ASSERT_EQ(resumed.code, 0) << resumed.err;
  ExpectSameResults(Own(), Run("run"));
  EXPECT_FALSE(fs::exists(Run("run") / "worker.tokens"));
}

TEST_F(WorkerTest, AHistoryWithTroubleIsTheUndisturbedOne) {
  ASSERT_EQ(RunProcess(Search("whole", {FakeWorkers()})).code, 0);
  for (const std::string what : {"die", "nan", "garbage", "twice", "count", "hang"}) {
    const Output output = RunProcess(
        Search(what, {FakeWorkers({"--as", what, "--after", "20"}), "backend.silence_timeout=1"}));
    ASSERT_EQ(output.code, 0) << output.err;
    EXPECT_THAT(output.err, HasSubstr("it is started again"));
    ExpectSameResults(Run("whole"), Run(what));
  }
}

TEST_F(WorkerTest, WhenNoWorkerIsLeftTheRunEndsInOneLineAndCanGoOn) {
  ASSERT_EQ(RunProcess(Search("whole", {FakeWorkers()})).code, 0);
  // The first process dies at its ninth task; its successors cannot begin.
  const std::string once = (folder_ / "once").string();
  const std::string fake = SourcePath("tests/support/fake_worker.py").string();
  const std::string command = "test -e " + once + " && exit 9; touch " + once + "; exec python3 " +
                              fake + " --as die --after 8";
  ExpectRefused(RunProcess(Search("run", {"backend.command=" + List({"sh", "-c", command})})),
                {"no worker is left", "worker 0: it ended: exit code 9"});
  EXPECT_EQ(Scores("run"), 8);
  const Output resumed =
      RunProcess(Longrope({"resume", Run("run").string(), "--set", FakeWorkers()}));
  ASSERT_EQ(resumed.code, 0) << resumed.err;
  ExpectSameResults(Run("whole"), Run("run"));
}

TEST_F(WorkerTest, AResumedRunRefusesOtherWorkers) {
  Process search(Search("run", {FakeWorkers({"--seconds", "0.05"})}));
  ASSERT_TRUE(search.WaitFor([&] { return Scores("run") >= 2; }));
  search.Signal(SIGTERM);
  ASSERT_EQ(search.Wait().code, 75);
  ExpectRefused(RunProcess(Longrope({"resume", Run("run").string(), "--set",
                                     FakeWorkers({"--fingerprint", "fake 2"})})),
                {"began with another model (was fake 1)"});
  ExpectRefused(
      RunProcess(Longrope({"resume", Run("run").string(), "--set", "backend.command=null"})),
      {"began with another"});
}

TEST_F(WorkerTest, CommandsOverSrunAndSshReachTheirWorkers) {
  const fs::path bin = folder_ / "bin";
  fs::create_directories(bin);
  WriteFile(bin / "srun",
            "#!/bin/sh\nwhile [ \"${1#--}\" != \"$1\" ]; do shift; done\nexec \"$@\"\n");
  // As the real one, it gives what follows the host to a shell over there.
  WriteFile(bin / "ssh",
            "#!/bin/sh\nwhile [ \"$1\" = -o ]; do shift 2; done\nshift\nexec sh -c \"$*\"\n");
  for (const char* name : {"srun", "ssh"}) fs::permissions(bin / name, fs::perms::owner_all);
  const std::string fake = SourcePath("tests/support/fake_worker.py").string();
  const ProcessOptions options{.environment = {"PATH=" + bin.string() + ":" + getenv("PATH")}};
  ASSERT_EQ(RunProcess(Search("whole", {FakeWorkers()})).code, 0);
  const std::map<std::string, std::vector<std::string>> commands = {
      {"srun", {"srun", "--ntasks=1", "--gres=gpu:1", "--exclusive", "python3", fake}},
      {"ssh", {"ssh", "-o", "BatchMode=yes", "gpu-host", "python3", fake, "--inline"}}};
  for (const auto& [name, command] : commands) {
    const Output output = RunProcess(
        Search(name, {"backend.command=" + List(command), "backend.workers=2"}), options);
    ASSERT_EQ(output.code, 0) << output.err;
    ExpectSameResults(Run("whole"), Run(name));
  }
}

TEST_F(WorkerTest, ADryRunTellsEvaluationsAndNoTimes) {
  std::vector<std::string> command = Search("run", {FakeWorkers()});
  command.push_back("--dry-run");
  const Output output = RunProcess(command);
  ASSERT_EQ(output.code, 0) << output.err;
  EXPECT_THAT(output.out, HasSubstr("with workers (fake_worker 1, 16 pairs"));
  EXPECT_THAT(output.out, HasSubstr("  evaluations: 14\n"));
  EXPECT_THAT(output.out, HasSubstr("  fitness: '"));
  EXPECT_THAT(output.out, Not(HasSubstr("time here")));
  EXPECT_FALSE(fs::exists(Run("run")));
}

TEST_F(WorkerTest, EvaluationsByWorkersAreThisProgramsOwn) {
  const std::string stage =
      "stages=[{name: a, kind: evaluate, rows: [none, pi, yarn], lengths: [128, 320], documents: "
      "2, "
      "protocols: [perplexity, start-tokens], start_tokens: [0, 4]}]";
  const Json longrope = {{"rope_type", "longrope"},
                         {"original_max_position_embeddings", 256},
                         {"factor", 1.2},
                         {"short_factor", std::vector<double>(32, 1.0)},
                         {"long_factor", std::vector<double>(32, 1.25)}};
  const Json dynamic = {{"rope_type", "dynamic"}, {"factor", 1.5}};
  for (const Json& scaling : {Json(), longrope, dynamic}) {
    const std::string kind = scaling.is_null() ? "plain" : scaling["rope_type"].get<std::string>();
    const auto config = [&](Json* all) {
      if (scaling.is_null()) return;
      (*all)["rope_scaling"] = scaling;
      if (kind == "longrope") (*all)["max_position_embeddings"] = 320;
    };
    const std::string plain = SlurpFile(SmallJob(folder_.path()));
    WriteFile(job_, std::string(plain).replace(plain.find(Tiny()), Tiny().size(),
                                               ChangedTiny(kind, config)));
    ASSERT_EQ(RunProcess(Search("own-" + kind, {stage})).code, 0);
    const Output output =
        RunProcess(Search("workers-" + kind, {stage, OwnWorkers(), "backend.workers=2"}));
    ASSERT_EQ(output.code, 0) << output.err;
    for (const char* name : {"a/measurements.csv", "a/table.csv", "a/table.txt"}) {
      EXPECT_EQ(SlurpFile(Run("own-" + kind) / name), SlurpFile(Run("workers-" + kind) / name))
          << kind << ": " << name;
    }
  }
}

TEST_F(WorkerTest, FactorsForAModelThatOnlyWorkersReadAreExported) {
  const std::string model =
      ChangedTiny("other", [](Json* config) { (*config)["model_type"] = "qwen2"; });
  ASSERT_EQ(RunProcess(Search("run", {FakeWorkers(), "model.path=" + model})).code, 0);
  const auto write = [&](const std::string& format) {
    return RunProcess(Longrope({"export", Run("run").string(), "--to", format, "--out",
                                (folder_ / format).string(), "--drop-start-tokens"}));
  };
  for (const char* format : {"longrope-csv", "hf-config"}) {
    const Output output = write(format);
    EXPECT_EQ(output.code, 0) << output.err;
    EXPECT_TRUE(fs::exists(folder_ / format));
  }
  ExpectRefused(write("hf-folder"), {"'qwen2' is not supported", "--to hf-config writes the keys"});
}

TEST_F(WorkerTest, AWorkerNeedNotKnowTheOriginalLength) {
  const std::string model = ChangedTiny("mistral", [](Json* config) {
    (*config)["model_type"] = "mistral";
    config->erase("original_max_position_embeddings");
  });
  const Output output = RunProcess(Longrope({"worker", job_, "--set", "model.path=" + model}));
  EXPECT_EQ(output.code, 0) << output.err;
  const Json hello = Json::parse(output.out);
  EXPECT_EQ(hello["rope"]["pairs"], 32);
  EXPECT_FALSE(hello["rope"].contains("original_length"));
}

TEST_F(WorkerTest, AStudysSearchesShareItsWorkers) {
  const fs::path study = folder_ / "study.yaml", out = folder_ / "study", trace = folder_ / "trace";
  WriteFile(study, "seeds: [1, 2]\nlengths: [320]\nmodel: {path: " + Tiny() + "}\ndata: {path: " +
                       (folder_ / "texts").string() + "}\noutput: {folder: " + out.string() +
                       "}\nstage: {documents: 2, held_out: 1}\nmethods:\n  - {name: few, "
                       "population: 4, generations: 0, parents: 3}\n");
  const std::vector<std::string> command =
      Longrope({"study", study.string(), "--set", FakeWorkers({"--trace", trace.string()})});
  std::vector<std::string> dry = command;
  dry.push_back("--dry-run");
  const Output told = RunProcess(dry);
  ASSERT_EQ(told.code, 0) << told.err;
  EXPECT_THAT(told.out, HasSubstr("few-320-2: 4 evaluations"));
  EXPECT_FALSE(fs::exists(out));
  fs::remove(trace);
  const Output output = RunProcess(command);
  ASSERT_EQ(output.code, 0) << output.err;
  EXPECT_TRUE(fs::exists(out / "summary.csv"));
  EXPECT_FALSE(fs::exists(out / "worker.tokens"));
  const std::string traced = SlurpFile(trace);
  EXPECT_EQ(traced.find("process"), traced.rfind("process"));
}

TEST_F(WorkerTest, WhatWorkersCannotDoIsRefusedWhenTheJobIsRead) {
  const auto refused = [&](std::vector<std::string> settings,
                           const std::vector<std::string>& parts) {
    ExpectRefused(RunProcess(Search("run", std::move(settings))), parts);
    EXPECT_FALSE(fs::exists(Run("run")));
  };
  const std::string workers = "backend.command=[no-such-program]";
  refused({workers}, {"no-such-program: cannot be started"});
  refused({workers, "backend.name=reference"}, {"backend.name: workers"});
  refused({workers, "backend.threads=2"}, {"backend.threads: workers"});
  refused({workers, "backend.memory_gb=2"}, {"backend.memory_gb: workers"});
  refused({workers, "model.rope_base=1e6"}, {"model.rope_base: workers"});
  refused({workers, "stages.a.objective=key"}, {"stages.a.objective: key is nothing that workers"});
  refused({workers,
           "stages=[{name: a, kind: evaluate, rows: [pi], lengths: [99], protocols: "
           "[passkey]}]"},
          {"stages.a.protocols: passkey is nothing that workers"});
  refused({"backend.workers=2"}, {"backend.workers: is for workers"});
  refused({"backend.command=[]"}, {"backend.command"});
  refused({"backend.command=[python3, '']"}, {"backend.command"});
}

TEST(Worker, RefusesWhatIsNoJobOrNoMessage) {
  ExpectRefused(RunProcess(Longrope({"worker", "/nowhere/job.yaml"})), {"/nowhere/job.yaml"});
  // Its stdin is empty here: after its hello it ends.
  const TempFolder folder;
  const Output output = RunProcess(Longrope({"worker", SmallJob(folder.path())}));
  EXPECT_EQ(output.code, 0) << output.err;
  EXPECT_THAT(output.out, HasSubstr("\"type\":\"hello\""));
  EXPECT_EQ(std::ranges::count(output.out, '\n'), 1);
}

}  // namespace
}  // namespace longrope
