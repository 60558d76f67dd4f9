// Any system call of a run may fail: the run ends with one line, and a later resume ends in the
// bytes of a run that nothing disturbed.
#include <gtest/gtest.h>

#include "tests/search/job/small_run.h"
#include "tests/support/faulty_file_system.h"
#include "tests/support/refusal.h"
#include "tests/support/temp_folder.h"

namespace longrope {
namespace {
namespace fs = std::filesystem;

using testing::FaultyFileSystem;
using testing::FinalFiles;
using testing::ScratchFolder;
using testing::SmallRun;
using testing::UndisturbedFiles;

Job FaultJob(const fs::path& folder) {
  Job job = testing::TinyJob(folder);
  job.stages[0].evolution.generations = 1;
  return job;
}

void ExpectNothingTemporary(const fs::path& folder) {
  for (const auto& entry : fs::recursive_directory_iterator(folder)) {
    EXPECT_EQ(entry.path().string().find(".tmp"), std::string::npos) << entry.path();
  }
}

int64_t CallsOfAWholeRun() {
  const ScratchFolder scratch;
  FaultyFileSystem files;
  SmallRun run(FaultJob(scratch / "run"));
  run.files = &files;
  EXPECT_EQ(run.Start(), RunEnd::kDone);
  return static_cast<int64_t>(files.calls.size());
}

// Lets call `n` fail, and every n-th `stride` one after it in a run of its own.
void FailEveryCall(int error, bool sticky, int64_t first, int64_t stride) {
  const int64_t calls = CallsOfAWholeRun();
  ASSERT_GT(calls, 150);
  const auto wanted = UndisturbedFiles(FaultJob(""));
  int64_t refused = 0;
  const ScratchFolder scratch;
  for (int64_t n = first; n < calls; n += stride) {
    const fs::path folder = scratch / std::to_string(n);
    FaultyFileSystem files;
    files.fail_at = n;
    files.error = error;
    files.sticky = sticky;
    SmallRun run(FaultJob(folder));
    run.files = &files;
    try {
      EXPECT_EQ(run.Start(), RunEnd::kDone);  // some failures do not matter, as of a clean-up
    } catch (const InputError& refusal) {
      ++refused;
      const std::string text = refusal.what();
      EXPECT_EQ(text.find('\n'), std::string::npos) << text;
      EXPECT_TRUE(text.starts_with(folder.string())) << text;
    }
    SmallRun next(FaultJob(folder));
    next.Continue();
    EXPECT_EQ(FinalFiles(folder), wanted)
        << "call " << n << ": " << files.calls.at(static_cast<size_t>(n));
    ExpectNothingTemporary(folder);
    fs::remove_all(folder);
  }
  EXPECT_GT(refused, (calls - first) / stride / 2);
}

TEST(PipelineFaults, AnyCallMayFailOnceWithAnInputOutputError) { FailEveryCall(EIO, false, 0, 1); }
TEST(PipelineFaults, TheDiskMayFillUpAtAnyCall) { FailEveryCall(ENOSPC, true, 1, 3); }
TEST(PipelineFaults, TheFileSystemMayBecomeReadOnlyAtAnyCall) { FailEveryCall(EROFS, true, 2, 3); }

TEST(PipelineFaults, AnInterruptedCallIsMadeAgain) {
  const int64_t calls = CallsOfAWholeRun();
  const auto wanted = UndisturbedFiles(FaultJob(""));
  const ScratchFolder scratch;
  for (int64_t n = 4; n < calls; n += 4) {
    const fs::path folder = scratch / std::to_string(n);
    FaultyFileSystem files;
    files.fail_at = n;
    files.error = EINTR;
    SmallRun run(FaultJob(folder));
    run.files = &files;
    try {
      run.Start();
    } catch (const InputError& refusal) {
      // Signals do not interrupt these on Linux: they may refuse, open, write and sync may not.
      const std::string& call = files.calls.at(static_cast<size_t>(n));
      EXPECT_TRUE(call.starts_with("rename") || call.starts_with("link") || call == "close")
          << call << ": " << refusal.what();
      SmallRun(FaultJob(folder)).Continue();
    }
    EXPECT_EQ(FinalFiles(folder), wanted) << n;
  }
}

TEST(PipelineFaults, ReadOnlyFromTheStartLeavesNothing) {
  for (const int error : {EROFS, EACCES}) {
    const ScratchFolder scratch;
    FaultyFileSystem files;
    files.fail_at = 0;
    files.error = error;
    files.sticky = true;
    SmallRun run(FaultJob(scratch / "run"));
    run.files = &files;
    EXPECT_REFUSED(run.Start(), "folder cannot be made");
    EXPECT_FALSE(fs::exists(scratch / "run"));
  }
}

TEST(PipelineFaults, ARunThatCannotBeginLeavesItsFolderAsItWas) {
  // From the first call after the folder was made to the one before the first checkpoint.
  for (int64_t n = 1; n < 18; ++n) {
    const ScratchFolder scratch;
    FaultyFileSystem files;
    files.fail_at = n;
    SmallRun run(FaultJob(scratch / "run"));
    run.files = &files;
    bool refused = false;
    try {
      run.Start();
    } catch (const InputError&) {
      refused = true;
    }
    if (refused && !fs::exists(run.Path(kCheckpointFile))) {
      EXPECT_FALSE(fs::exists(scratch / "run"))
          << n << " " << files.calls.at(static_cast<size_t>(n));
    }
  }
}

// The newest checkpoint is damaged and the one before it is all there is: no failing call may cost
// that one too.
TEST(PipelineFaults, AfterADamagedCheckpointNoCallMayCostTheOneBefore) {
  const auto wanted = UndisturbedFiles(FaultJob(""));
  const ScratchFolder scratch;
  for (int64_t n = 0; n < 40; ++n) {
    const fs::path folder = scratch / std::to_string(n);
    SmallRun run(FaultJob(folder));
    run.StopAfter(8);
    ASSERT_EQ(run.Start(), RunEnd::kStopped);
    std::string bytes = testing::SlurpFile(run.Path(kCheckpointFile));
    bytes[bytes.size() / 2] = static_cast<char>(bytes[bytes.size() / 2] ^ 4);
    testing::WriteFile(run.Path(kCheckpointFile), bytes);
    FaultyFileSystem files;
    files.fail_at = n;
    files.sticky = true;
    run.files = &files;
    run.StopAfter(1000);
    EXPECT_THROW(run.Resume(), InputError) << n;
    run.files = &FileSystem::Real();
    EXPECT_NO_THROW(run.Resume()) << n << " " << files.calls.at(static_cast<size_t>(n));
    EXPECT_EQ(FinalFiles(folder), wanted) << n;
  }
}

}  // namespace
}  // namespace longrope
