#include "search/job/checkpoint.h"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>

#include "search/job/job_file.h"
#include "tests/search/job/small_run.h"
#include "tests/support/refusal.h"
#include "tests/support/temp_folder.h"

namespace longrope {
namespace {

using testing::FinalFiles;
using testing::ScratchFolder;
using testing::SlurpFile;
using testing::SmallJob;
using testing::SmallRun;
using testing::TinyJob;
using testing::WriteFile;

constexpr double kInfinity = std::numeric_limits<double>::infinity();

// A state with everything in it: unscored, partly scored and failed candidates, factors to build
// on.
StageRecord FullRecord(const Job& job) {
  const FactorBucket given{1024, {std::vector<float>(16, 1.3f), 8, 1.1}};
  StageRecord record{JobIdentity(job), {{32, 10000, 256}, given}, StageState(job.stages[0])};
  StageState& stage = record.state;
  stage.fingerprint = {{"model", "digest"}, {"document 0", "A title\twith a tab 12ab"}, {"e", ""}};
  Population& population = stage.population;
  Genome genome{std::vector<int32_t>(16, 7), 2, 0};
  for (int i = 0; i < kOrigins; ++i) {
    genome.steps.back() = 100 + i;
    population.Add(i / 3, static_cast<Origin>(i), {i - 1, i % 2 == 0 ? kNoParent : i - 2}, genome);
  }
  population.SetScore(0, 0, {0.1 + 0.2, 7});
  population.SetScore(1, 0, {-0.0, 7});
  population.SetScore(1, 1, {std::nan(""), 8});
  population.SetScore(2, 0, {kInfinity, 1});
  population.SetScore(3, 0, {1e308, std::numeric_limits<int64_t>::max()});
  stage.SetBaselines({{"yarn", "own", {std::vector<float>(16, 1.1f), 0, 1.2079}},
                      {"yarn", "run", {std::vector<float>(16, 1.1f), 0, 1.17}},
                      {"unchanged", "own", {std::vector<float>(16, 3e-3f), 28, 1}}});
  stage.baselines[1].scores[0] = Score{2.5, 9};
  return record;
}

Job OneStage() { return SmallJob("/run"); }

TEST(Checkpoint, ReadsBackWhatWasWritten) {
  const Job job = OneStage();
  const StageRecord record = FullRecord(job);
  const StageRecord read = ReadCheckpoint(WriteCheckpoint(record), "name", job);
  EXPECT_EQ(read.identity, record.identity);
  EXPECT_EQ(read.model, record.model);
  const StageState &was = record.state, &is = read.state;
  EXPECT_EQ(is.name, was.name);
  EXPECT_EQ(is.fingerprint, was.fingerprint);
  ASSERT_EQ(is.population.candidates().size(), was.population.candidates().size());
  for (size_t i = 0; i < was.population.candidates().size(); ++i) {
    const Candidate &a = was.population.candidates()[i], &b = is.population.candidates()[i];
    EXPECT_EQ(b.id, a.id);
    EXPECT_EQ(b.generation, a.generation);
    EXPECT_EQ(b.origin, a.origin);
    EXPECT_EQ(b.parents, a.parents);
    EXPECT_EQ(b.genome, a.genome);
    if (i != 1) {
      EXPECT_EQ(b.scores, a.scores);  // a NaN is not equal to itself
    }
  }
  EXPECT_TRUE(std::signbit(is.population.candidates()[1].scores[0]->nats));
  EXPECT_TRUE(std::isnan(is.population.candidates()[1].scores[1]->nats));
  EXPECT_FALSE(is.population.candidates()[1].scores[2].has_value());
  ASSERT_EQ(is.baselines.size(), was.baselines.size());
  for (size_t i = 0; i < was.baselines.size(); ++i) {
    EXPECT_EQ(is.baselines[i].baseline.method, was.baselines[i].baseline.method);
    EXPECT_EQ(is.baselines[i].baseline.attention, was.baselines[i].baseline.attention);
    EXPECT_EQ(is.baselines[i].baseline.factors, was.baselines[i].baseline.factors);
    EXPECT_EQ(is.baselines[i].scores, was.baselines[i].scores);
  }
}

TEST(Checkpoint, EqualStatesGiveEqualBytes) {
  const Job job = OneStage();
  const std::string bytes = WriteCheckpoint(FullRecord(job));
  EXPECT_EQ(WriteCheckpoint(FullRecord(job)), bytes);
  EXPECT_EQ(WriteCheckpoint(ReadCheckpoint(bytes, "name", job)), bytes);
}

TEST(Checkpoint, OfAnEmptyStateReadsBack) {
  const Job job = OneStage();
  StageModel model;
  model.shape = {32, 10000, 256};
  const StageRecord record{JobIdentity(job), model, StageState(job.stages[0])};
  const StageRecord read = ReadCheckpoint(WriteCheckpoint(record), "name", job);
  EXPECT_TRUE(read.state.population.candidates().empty());
  EXPECT_TRUE(read.state.baselines.empty());
  EXPECT_FALSE(read.model.given.has_value());
}

// File names may hold line ends, and document titles come from file names.
TEST(Checkpoint, KeepsFingerprintsWithLineEnds) {
  const Job job = OneStage();
  StageRecord record = FullRecord(job);
  record.state.fingerprint = {{"document 0", "one\ntwo\\nthree\r\n\\ 12ab"}, {"engine", "x"}};
  const StageRecord read = ReadCheckpoint(WriteCheckpoint(record), "name", job);
  EXPECT_EQ(read.state.fingerprint, record.state.fingerprint);
}

TEST(Checkpoint, NoFlippedBitIsSilentlyWrong) {
  const Job job = OneStage();
  const std::string bytes = WriteCheckpoint(FullRecord(job));
  const size_t bits = bytes.size() * 8;
  int flips = 0;
  for (size_t i = 0; i < 500; ++i, ++flips) {
    const size_t bit = i * (bits / 500) + i % 8;
    std::string flipped = bytes;
    flipped[bit / 8] = static_cast<char>(flipped[bit / 8] ^ (1 << bit % 8));
    EXPECT_THROW(ReadCheckpoint(flipped, "name", job), DamagedCheckpoint) << bit;
  }
  for (size_t bit = bits - 64 * 8; bit < bits; ++bit, ++flips) {  // all of the trailer
    std::string flipped = bytes;
    flipped[bit / 8] = static_cast<char>(flipped[bit / 8] ^ (1 << bit % 8));
    EXPECT_THROW(ReadCheckpoint(flipped, "name", job), DamagedCheckpoint) << bit;
  }
  EXPECT_GE(flips, 400);
}

TEST(Checkpoint, NoTruncationAndNoExtraByteIsSilentlyWrong) {
  const Job job = OneStage();
  const std::string bytes = WriteCheckpoint(FullRecord(job));
  for (size_t i = 0; i < 300; ++i) {
    const size_t length = i * bytes.size() / 300;
    EXPECT_THROW(ReadCheckpoint(bytes.substr(0, length), "name", job), DamagedCheckpoint) << length;
  }
  for (size_t cut = 1; cut <= 130; ++cut) {
    EXPECT_THROW(ReadCheckpoint(bytes.substr(0, bytes.size() - cut), "name", job),
                 DamagedCheckpoint);
  }
  EXPECT_THROW(ReadCheckpoint(bytes + '\0', "name", job), DamagedCheckpoint);
  EXPECT_THROW(ReadCheckpoint("", "name", job), DamagedCheckpoint);
  EXPECT_REFUSED(ReadCheckpoint("x", "the/file", job), "the/file: ");
}

TEST(Checkpoint, OfAnotherJobIsRefusedNamingItsKeys) {
  const Job job = OneStage();
  const std::string bytes = WriteCheckpoint(FullRecord(job));
  const auto refused = [&](const char* key, const auto& change) {
    Job other = job;
    change(other);
    EXPECT_REFUSED(ReadCheckpoint(bytes, "the/file", other), key);
  };
  refused("seed", [](Job& j) { j.seed = 6; });
  refused("model.original_length", [](Job& j) { j.model.original_length = 4096; });
  refused("model.rope_base", [](Job& j) { j.model.rope_base = 5e5; });
  refused("data.text_field", [](Job& j) { j.data.text_field = "body"; });
  refused("data.min_tokens", [](Job& j) { j.data.min_tokens = 5; });
  refused("data.join", [](Job& j) { j.data.join = true; });
  refused("stages.extend.length", [](Job& j) { j.stages[0].length = 8192; });
  refused("stages.extend.model", [](Job& j) { j.stages[0].model = "tune"; });
  refused("stages.extend.kind", [](Job& j) { j.stages[0].kind = "readjust"; });
  refused("stages.extend.documents", [](Job& j) { j.stages[0].documents = 3; });
  refused("stages.extend.held_out", [](Job& j) { j.stages[0].held_out = 3; });
  refused("stages.extend.bound", [](Job& j) { j.stages[0].bound = 3; });
  refused("stages.extend.attention", [](Job& j) { j.stages[0].attention = "1.1"; });
  refused("stages.extend.seeds", [](Job& j) { j.stages[0].seeds = {"yarn", "pi", "ntk"}; });
  refused("stages.extend.start_tokens", [](Job& j) { j.stages[0].start_tokens.pop_back(); });
  refused("stages.extend.yarn_truncate", [](Job& j) { j.stages[0].yarn.truncate = false; });
  refused("stages.extend.parents", [](Job& j) { j.stages[0].evolution.parents = 3; });
  Job fine = job;
  fine.stages[0].evolution.generations = 99;
  fine.stages[0].max_evaluations = 7;
  fine.stages[0].max_hours = 2;
  fine.backend.threads = 5;
  fine.output.folder = "/other";
  EXPECT_NO_THROW(ReadCheckpoint(bytes, "the/file", fine));
}

// At the level of a run: bytes are damaged between two processes.
class DamagedRun : public ::testing::Test {
 protected:
  void Begin(SmallRun* run) {
    run->StopAfter(13);
    ASSERT_EQ(run->Start(), RunEnd::kStopped);
    run->StopAfter(1000);
  }
  static void Damage(const std::filesystem::path& path, size_t at) {
    std::string bytes = SlurpFile(path);
    bytes[at % bytes.size()] = static_cast<char>(bytes[at % bytes.size()] ^ 1);
    WriteFile(path, bytes);
  }
  ScratchFolder scratch_;
};

TEST_F(DamagedRun, FallsBackToTheCheckpointBeforeAndEndsInEqualBytes) {
  const auto wanted = testing::UndisturbedFiles(TinyJob(""));
  for (size_t i = 0; i < 8; ++i) {
    SmallRun run(TinyJob(scratch_ / std::to_string(i)));
    Begin(&run);
    const std::string path = run.Path(kCheckpointFile).string();
    if (i < 4) {
      Damage(path, i * 1777);
    } else {
      const std::string bytes = SlurpFile(path);
      WriteFile(path, bytes.substr(0, bytes.size() * (i - 4) / 4));
    }
    ASSERT_EQ(run.Resume(), RunEnd::kDone);
    ASSERT_EQ(run.observer.warnings.size(), 1u);
    EXPECT_TRUE(run.observer.warnings[0].starts_with(path)) << run.observer.warnings[0];
    EXPECT_EQ(FinalFiles(run.job.output.folder), wanted);
    EXPECT_EQ(run.stages.evaluator.scores, testing::kTinyScores + 1);  // one was lost
  }
}

TEST_F(DamagedRun, KeepsTheDamagedFileAside) {
  SmallRun run(TinyJob(scratch_ / "run"));
  Begin(&run);
  Damage(run.Path(kCheckpointFile), 4000);
  const std::string damaged = SlurpFile(run.Path(kCheckpointFile));
  ASSERT_EQ(run.Resume(), RunEnd::kDone);
  EXPECT_EQ(SlurpFile(run.Path(kDamagedCheckpointFile)), damaged);
}

TEST_F(DamagedRun, WithoutAWholeCheckpointIsRefusedAndKept) {
  SmallRun run(TinyJob(scratch_ / "run"));
  Begin(&run);
  Damage(run.Path(kCheckpointFile), 4000);
  Damage(run.Path(kPreviousCheckpointFile), 4000);
  const auto before = FinalFiles(run.job.output.folder);
  EXPECT_REFUSED(run.Resume(), std::string(kPreviousCheckpointFile));
  EXPECT_EQ(FinalFiles(run.job.output.folder), before);
  EXPECT_TRUE(std::filesystem::exists(run.Path(kJobFile)));
  std::filesystem::remove(run.Path(kPreviousCheckpointFile));
  EXPECT_REFUSED(run.Resume(), "is damaged, and there is no checkpoint before it");
  EXPECT_EQ(FinalFiles(run.job.output.folder), before);
}

TEST_F(DamagedRun, GoesOnFromTheOneBeforeIfTheNewestIsMissing) {
  SmallRun run(TinyJob(scratch_ / "run"));
  Begin(&run);
  std::filesystem::remove(run.Path(kCheckpointFile));
  ASSERT_EQ(run.Resume(), RunEnd::kDone);
  EXPECT_EQ(FinalFiles(run.job.output.folder), testing::UndisturbedFiles(TinyJob("")));
}

TEST_F(DamagedRun, ACheckpointOfAnotherJobIsNotTakenForADamagedOne) {
  SmallRun run(TinyJob(scratch_ / "run"));
  Begin(&run);
  const auto before = FinalFiles(run.job.output.folder);
  const std::string job = SlurpFile(run.Path(kJobFile));
  run.job.seed = 77;
  EXPECT_REFUSED(run.Resume(), "other values of seed");
  EXPECT_TRUE(run.observer.warnings.empty());
  EXPECT_EQ(FinalFiles(run.job.output.folder), before);
  EXPECT_EQ(SlurpFile(run.Path(kJobFile)), job);
}

// A refused resume must not leave the refused job as the run's own.
TEST_F(DamagedRun, AnotherModelIsRefusedNamingWhatDiffersAndNothingChanges) {
  SmallRun run(TinyJob(scratch_ / "run"));
  Begin(&run);
  const auto before = FinalFiles(run.job.output.folder);
  const std::string job = SlurpFile(run.Path(kJobFile));
  const auto refused = [&](const char* part, const auto& change) {
    SmallRun other(TinyJob(scratch_ / "run"));
    other.job.model.path = "/another/model";
    change(other);
    EXPECT_REFUSED(other.Resume(), part);
    EXPECT_EQ(FinalFiles(run.job.output.folder), before) << part;
    EXPECT_EQ(SlurpFile(run.Path(kJobFile)), job) << part;
  };
  refused("head size", [](SmallRun& r) { r.stages.shape.head_dim = 64; });
  refused("base", [](SmallRun& r) { r.stages.shape.base = 500000; });
  refused("original length", [](SmallRun& r) { r.stages.shape.original_length = 512; });
  refused("model (was fake)",
          [](SmallRun& r) { r.stages.evaluator.fingerprint[0].second = "other"; });
  refused("engine (was formula)",
          [](SmallRun& r) { r.stages.evaluator.fingerprint[1].second = "other"; });
  refused("document 0", [](SmallRun& r) {
    r.stages.evaluator.fingerprint.emplace_back("document 0", "book 12ab");
  });
  refused("engine (was formula)", [](SmallRun& r) { r.stages.evaluator.fingerprint.pop_back(); });
  EXPECT_EQ(run.Resume(), RunEnd::kDone);
}

}  // namespace
}  // namespace longrope
