#include "search/job/run_folder.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/wait.h>
#include <unistd.h>

#include <functional>
#include <map>
#include <memory>
#include <thread>
#include <vector>

#include "tests/search/job/small_run.h"
#include "tests/support/faulty_file_system.h"
#include "tests/support/refusal.h"
#include "tests/support/temp_folder.h"

namespace longrope {
namespace {
namespace fs = std::filesystem;

using testing::ScratchFolder;
using testing::SlurpFile;
using testing::SmallRun;
using testing::WriteFile;

std::map<std::string, std::string> Contents(const fs::path& folder) {
  std::map<std::string, std::string> contents;
  for (const auto& entry : fs::recursive_directory_iterator(folder)) {
    contents[entry.path().string()] = entry.is_directory() ? "folder" : SlurpFile(entry.path());
  }
  return contents;
}

std::string Me() { return "process " + std::to_string(::getpid()); }

// What `call` says in another process: its refusal, or "" if it is not refused.
std::string InAnotherProcess(const std::function<void()>& call) {
  int ends[2];
  EXPECT_EQ(::pipe(ends), 0);
  const pid_t child = ::fork();
  if (child == 0) {
    std::string said;
    try {
      call();
    } catch (const InputError& error) {
      said = error.what();
    } catch (...) {
      said = "another exception";
    }
    const bool sent = ::write(ends[1], said.data(), said.size()) == ssize_t(said.size());
    ::_exit(sent ? 0 : 1);
  }
  ::close(ends[1]);
  std::string said;
  char buffer[512];
  for (ssize_t got = 0; (got = ::read(ends[0], buffer, sizeof buffer)) > 0;) {
    said.append(buffer, static_cast<size_t>(got));
  }
  ::close(ends[0]);
  int status = 0;
  ::waitpid(child, &status, 0);
  EXPECT_EQ(status, 0);
  return said;
}

TEST(RunFolder, IsMadeWithItsParents) {
  const ScratchFolder scratch;
  const RunFolder run = RunFolder::Create(FileSystem::Real(), scratch / "a/b/run");
  EXPECT_TRUE(fs::is_directory(scratch / "a/b/run"));
  EXPECT_EQ(run.File("x").string(), (scratch / "a/b/run/x").string());
}

TEST(RunFolder, ASecondOneInTheSameProcessIsRefusedAndChangesNoByte) {
  const ScratchFolder scratch;
  const RunFolder run = RunFolder::Create(FileSystem::Real(), scratch / "run");
  const auto before = Contents(scratch / "");
  EXPECT_REFUSED(RunFolder::Create(FileSystem::Real(), scratch / "run"), Me());
  EXPECT_EQ(Contents(scratch / ""), before);
  run.Replace(kJobFile, "job");
  const auto begun = Contents(scratch / "");
  EXPECT_REFUSED(RunFolder::Open(FileSystem::Real(), scratch / "run"), Me());
  EXPECT_REFUSED(RunFolder::Create(FileSystem::Real(), scratch / "run"), "longrope resume");
  EXPECT_EQ(Contents(scratch / ""), begun);
}

TEST(RunFolder, ASecondOneInAnotherProcessIsRefusedAndChangesNoByte) {
  const ScratchFolder scratch;
  const fs::path folder = scratch / "run";
  auto run = std::make_unique<RunFolder>(RunFolder::Create(FileSystem::Real(), folder));
  const auto before = Contents(folder);
  const std::string created =
      InAnotherProcess([&] { RunFolder::Create(FileSystem::Real(), folder); });
  EXPECT_NE(created.find(Me() + " is working"), std::string::npos) << created;
  EXPECT_EQ(created.find('\n'), std::string::npos);
  EXPECT_EQ(Contents(folder), before);
  run->Replace(kJobFile, "job");
  const auto begun = Contents(folder);
  const std::string opened = InAnotherProcess([&] { RunFolder::Open(FileSystem::Real(), folder); });
  EXPECT_NE(opened.find(Me()), std::string::npos) << opened;
  EXPECT_EQ(Contents(folder), begun);
  run.reset();
  EXPECT_EQ(InAnotherProcess([&] { RunFolder::Open(FileSystem::Real(), folder); }), "");
}

TEST(RunFolder, IsFreeAgainAfterItsOwnerDied) {
  const ScratchFolder scratch;
  const fs::path folder = scratch / "run";
  InAnotherProcess([&] {
    const RunFolder run = RunFolder::Create(FileSystem::Real(), folder);
    run.Replace(kJobFile, "job");
    ::_exit(0);  // no destructor runs
  });
  EXPECT_NO_THROW(RunFolder::Open(FileSystem::Real(), folder));
}

TEST(RunFolder, TheOneThatLosesTheLockDoesNotTakeItFromALaterOne) {
  const ScratchFolder scratch;
  fs::create_directory(scratch / "run");
  auto first = std::make_unique<RunLock>(scratch / "run");
  EXPECT_THROW(RunLock(scratch / "run"), InputError);
  EXPECT_THROW(RunLock(scratch / "run"), InputError);
  first.reset();
  const RunLock second(scratch / "run");
  EXPECT_THROW(RunLock(scratch / "run"), InputError);
}

// Abandon removes the lock file: a process that opened it just before must not end up with a lock
// that nobody else sees.
TEST(RunFolder, OfManyThatStartAndGiveUpOnlyOneAtATimeHoldsTheFolder) {
  const ScratchFolder scratch;
  const fs::path folder = scratch / "run", marker = scratch / "marker";
  const auto starts = [&] {
    for (int i = 0; i < 3000; ++i) {
      try {
        RunFolder run = RunFolder::Create(FileSystem::Real(), folder);
        const int file = ::open(marker.c_str(), O_CREAT | O_EXCL | O_WRONLY, 0666);
        if (file < 0) throw InputError("two hold the folder");
        ::close(file);
        ::unlink(marker.c_str());
        run.Abandon();
      } catch (const InputError& error) {
        if (std::string(error.what()).starts_with("two")) throw;
      }
    }
  };
  std::vector<std::string> said(3);
  std::vector<std::jthread> watchers;
  for (std::string& one : said) {
    watchers.emplace_back([&] { one = InAnotherProcess(starts); });
  }
  watchers.clear();
  for (const std::string& one : said) EXPECT_EQ(one, "");
}

TEST(RunFolder, CreateInAUsedFolderNamesResumeAndChangesNothing) {
  const ScratchFolder scratch;
  SmallRun run(testing::TinyJob(scratch / "run"));
  run.StopAfter(5);
  ASSERT_EQ(run.Start(), RunEnd::kStopped);
  const auto before = Contents(scratch / "");
  EXPECT_REFUSED(run.Start(), "longrope resume " + (scratch / "run").string());
  EXPECT_EQ(Contents(scratch / ""), before);
}

TEST(RunFolder, OpenRefusesAFolderWithoutARun) {
  const ScratchFolder scratch;
  EXPECT_REFUSED(RunFolder::Open(FileSystem::Real(), scratch / "none"), "holds no run");
  EXPECT_FALSE(fs::exists(scratch / "none"));
  fs::create_directory(scratch / "empty");
  EXPECT_REFUSED(RunFolder::Open(FileSystem::Real(), scratch / "empty"), "job.yaml");
  EXPECT_TRUE(fs::is_empty(scratch / "empty"));
}

TEST(RunFolder, OfAnEarlierVersionIsNotBegunAnew) {
  const ScratchFolder scratch;
  fs::create_directories(scratch / "run");
  testing::WriteFile(scratch / "run/job.yaml", "name: x\n");
  testing::WriteFile(scratch / "run/checkpoint.h5", "x");
  EXPECT_REFUSED(RunFolder::Open(FileSystem::Real(), scratch / "run"), "of an earlier version");
}

TEST(RunFolder, CreateRefusesAPathThatIsAFile) {
  const ScratchFolder scratch;
  WriteFile(scratch / "file", "text");
  EXPECT_REFUSED(RunFolder::Create(FileSystem::Real(), scratch / "file"), "file");
  EXPECT_REFUSED(RunFolder::Create(FileSystem::Real(), scratch / "file/run"), "file");
  EXPECT_EQ(SlurpFile(scratch / "file"), "text");
}

TEST(RunFolder, KeepsTheCheckpointBefore) {
  const ScratchFolder scratch;
  const RunFolder run = RunFolder::Create(FileSystem::Real(), scratch / "run");
  run.SaveCheckpoint("one");
  EXPECT_FALSE(fs::exists(run.File(kPreviousCheckpointFile)));
  run.SaveCheckpoint("two");
  run.SaveCheckpoint("three");
  EXPECT_EQ(SlurpFile(run.File(kCheckpointFile)), "three");
  EXPECT_EQ(SlurpFile(run.File(kPreviousCheckpointFile)), "two");
}

TEST(RunFolder, WhileACheckpointIsSavedThereIsAlwaysAWholeOne) {
  const ScratchFolder scratch;
  int64_t calls = 0;
  {
    testing::FaultyFileSystem files;
    const RunFolder run = RunFolder::Create(files, scratch / "count");
    run.SaveCheckpoint("one");
    files.calls.clear();
    run.SaveCheckpoint("two");
    calls = static_cast<int64_t>(files.calls.size());
  }
  ASSERT_GE(calls, 9);
  for (int64_t n = 0; n < calls; ++n) {
    testing::FaultyFileSystem files;
    const fs::path folder = scratch / std::to_string(n);
    const RunFolder run = RunFolder::Create(files, folder);
    run.SaveCheckpoint("zero");
    run.SaveCheckpoint("one");
    files.calls.clear();
    files.fail_at = n;
    files.sticky = true;  // as if the power went here
    try {
      run.SaveCheckpoint("two");
    } catch (const FileError&) {
    }
    const std::string current = SlurpFile(folder / kCheckpointFile);
    const std::string before = SlurpFile(folder / kPreviousCheckpointFile);
    EXPECT_TRUE(current == "one" || current == "two") << current;
    EXPECT_TRUE(before == "zero" || before == "one") << before;
  }
}

TEST(RunFolder, AppendsToAFile) {
  const ScratchFolder scratch;
  const RunFolder run = RunFolder::Create(FileSystem::Real(), scratch / "run");
  run.Append(kTimesFile, "a\n");
  run.Append(kTimesFile, "b\n");
  EXPECT_EQ(SlurpFile(run.File(kTimesFile)), "a\nb\n");
}

TEST(RunFolder, AbandonLeavesNothingOfACreatedFolder) {
  const ScratchFolder scratch;
  RunFolder run = RunFolder::Create(FileSystem::Real(), scratch / "run");
  run.Replace(kJobFile, "job");
  WriteFile(run.File(kLogFile), "log");
  run.Abandon();
  EXPECT_FALSE(fs::exists(scratch / "run"));
}

TEST(RunFolder, AbandonLeavesWhatWasThereBeforeCreate) {
  const ScratchFolder scratch;
  fs::create_directory(scratch / "run");
  WriteFile(scratch / "run/notes.txt", "mine");
  WriteFile(scratch / "run/log.txt", "old log\n");
  const auto before = Contents(scratch / "");
  RunFolder run = RunFolder::Create(FileSystem::Real(), scratch / "run");
  run.Replace(kJobFile, "job");
  run.Abandon();
  EXPECT_EQ(Contents(scratch / ""), before);
}

TEST(RunFolder, AbandonDoesNothingToAnOpenedFolder) {
  const ScratchFolder scratch;
  fs::create_directory(scratch / "run");
  WriteFile(scratch / "run/job.yaml", "job");
  WriteFile(scratch / "run/log.txt", "log");
  RunFolder run = RunFolder::Open(FileSystem::Real(), scratch / "run");
  run.Abandon();
  EXPECT_EQ(SlurpFile(scratch / "run/job.yaml"), "job");
  EXPECT_EQ(SlurpFile(scratch / "run/log.txt"), "log");
}

// A run killed before its first checkpoint has a job.yaml and nothing else.
TEST(RunFolder, ARefusedResumeBeforeTheFirstCheckpointKeepsTheJob) {
  const ScratchFolder scratch;
  SmallRun run(testing::TinyJob(scratch / "run"));
  run.StopAfter(0);
  ASSERT_EQ(run.Start(), RunEnd::kStopped);
  ASSERT_FALSE(fs::exists(run.Path(kCheckpointFile)));
  const std::string job = SlurpFile(run.Path(kJobFile));
  run.stages.shape.original_length = 4096;  // longer than the stage's target
  EXPECT_REFUSED(run.Resume(), "stages.extend.length");
  ASSERT_TRUE(fs::exists(run.Path(kJobFile)));
  EXPECT_EQ(SlurpFile(run.Path(kJobFile)), job);
  run.stages.shape.original_length = 256;
  run.StopAfter(1000);
  EXPECT_EQ(run.Resume(), RunEnd::kDone);
}

TEST(RunFolder, ARefusedFirstRunLeavesNoFolder) {
  const ScratchFolder scratch;
  SmallRun run(testing::TinyJob(scratch / "run"));
  run.stages.shape.original_length = 2048;
  EXPECT_REFUSED(run.Start(), "stages.extend.length");
  EXPECT_FALSE(fs::exists(scratch / "run"));
}

}  // namespace
}  // namespace longrope
