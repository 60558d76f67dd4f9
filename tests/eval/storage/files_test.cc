#include "eval/storage/files.h"

#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>

#include "tests/support/faulty_file_system.h"
#include "tests/support/refusal.h"
#include "tests/support/temp_folder.h"

namespace longrope {
namespace {

namespace fs = std::filesystem;
using ::testing::ElementsAre;
using testing::FaultyFileSystem;
using ::testing::HasSubstr;
using testing::RefusalOf;
using testing::SlurpFile;
using ::testing::StartsWith;
using testing::TempFolder;

const std::string kOld = "the old content", kNew(100'000, 'n');

std::vector<std::string> Names(const fs::path& folder) {
  std::vector<std::string> names;
  for (const auto& entry : fs::directory_iterator(folder)) {
    names.push_back(entry.path().filename().string());
  }
  return names;
}

TEST(ReplaceFile, MakesTheFileDurableBeforeItCarriesItsName) {
  const TempFolder folder;
  const fs::path path = folder.path() / "state";
  FaultyFileSystem files;
  ReplaceFile(files, path, kNew);
  EXPECT_EQ(SlurpFile(path), kNew);
  EXPECT_THAT(Names(folder.path()), ElementsAre("state"));
  EXPECT_THAT(files.calls, ElementsAre(StartsWith("unlink " + path.string() + ".tmp."),
                                       StartsWith("open " + path.string() + ".tmp."), "write",
                                       "sync", "close", "rename " + path.string(),
                                       "open " + folder.path().string(), "sync", "close"));
}

TEST(ReplaceFile, WritesFilesOfAnySizeAndOverAnyOther) {
  const TempFolder folder;
  const fs::path path = folder.path() / "state";
  for (const std::string& bytes : {std::string(), std::string("\0\n", 2), kNew, kOld}) {
    ReplaceFile(FileSystem::Real(), path, bytes);
    EXPECT_EQ(SlurpFile(path), bytes);
  }
}

TEST(ReplaceFile, ReplacesAReadOnlyFileAndOneThatACrashLeft) {
  const TempFolder folder;
  const fs::path path = folder.path() / "state";
  testing::WriteFile(path, kOld);
  testing::WriteFile(path.string() + ".tmp." + std::to_string(getpid()), "left over");
  fs::permissions(path, fs::perms::owner_read);
  ReplaceFile(FileSystem::Real(), path, kNew);
  EXPECT_EQ(SlurpFile(path), kNew);
  EXPECT_THAT(Names(folder.path()), ElementsAre("state"));
}

struct Fault {
  const char* name;
  int error;
};

class FailingReplaceFile : public ::testing::TestWithParam<Fault> {
 protected:
  // Lets call number `call` of a ReplaceFile fail and checks what is left. False if there were
  // fewer calls than that.
  static bool FailAt(int64_t call, bool old_there) {
    const TempFolder folder;
    const fs::path path = folder.path() / "state";
    if (old_there) testing::WriteFile(path, kOld);
    FaultyFileSystem files;
    files.fail_at = call;
    files.error = GetParam().error;
    std::string refusal;
    try {
      ReplaceFile(files, path, kNew);
    } catch (const FileError& error) {
      refusal = error.what();
      EXPECT_THAT(refusal, HasSubstr(folder.path().string()));
      EXPECT_THAT(refusal, HasSubstr(std::generic_category().message(GetParam().error)));
    }
    if (call >= static_cast<int64_t>(files.calls.size())) {
      EXPECT_EQ(refusal, "");
      EXPECT_EQ(SlurpFile(path), kNew);
      return false;
    }
    const std::string& failed = files.calls[static_cast<size_t>(call)];
    SCOPED_TRACE(std::string(GetParam().name) + " at call " + std::to_string(call) + ", " + failed);
    CheckWhatIsLeft(path, old_there, refusal.empty());
    EXPECT_EQ(refusal.empty(), IsHarmless(failed, call)) << refusal;
    return true;
  }

  // What a signal interrupts is tried again; the first unlink only clears up, and a folder that is
  // synchronised may fail to close.
  static bool IsHarmless(const std::string& failed, int64_t call) {
    const bool retried = failed.starts_with("open") || failed == "write" || failed == "sync";
    return failed.starts_with("unlink") || (failed == "close" && call > 5) ||
           (GetParam().error == EINTR && retried);
  }

  static void CheckWhatIsLeft(const fs::path& path, bool old_there, bool succeeded) {
    if (fs::exists(path)) {
      const std::string left = SlurpFile(path);
      EXPECT_TRUE(left == kNew || (old_there && left == kOld && !succeeded)) << left.size();
      EXPECT_THAT(Names(path.parent_path()), ElementsAre("state"));
    } else {
      EXPECT_FALSE(old_there || succeeded);
      EXPECT_THAT(Names(path.parent_path()), ElementsAre());
    }
  }
};

TEST_P(FailingReplaceFile, LeavesTheOldFileOrTheNewOneWhole) {
  for (const bool old_there : {false, true}) {
    int64_t calls = 0;
    while (FailAt(calls, old_there)) ++calls;
    EXPECT_GE(calls, 9);
  }
}

INSTANTIATE_TEST_SUITE_P(Errors, FailingReplaceFile,
                         ::testing::Values(Fault{"EIO", EIO}, Fault{"ENOSPC", ENOSPC},
                                           Fault{"EINTR", EINTR}),
                         [](const auto& of) { return std::string(of.param.name); });

// A disk that stays full: nothing that follows works either.
TEST(ReplaceFile, LeavesTheOldFileWhenEverythingKeepsFailing) {
  for (const int error : {EIO, ENOSPC}) {
    for (int64_t call = 0; call < 6; ++call) {  // up to the rename
      const TempFolder folder;
      const fs::path path = folder.path() / "state";
      testing::WriteFile(path, kOld);
      FaultyFileSystem files;
      files.fail_at = call;
      files.error = error;
      files.sticky = true;
      EXPECT_THAT(RefusalOf([&] { ReplaceFile(files, path, kNew); }),
                  StartsWith(path.string() + ": cannot be written"));
      EXPECT_EQ(SlurpFile(path), kOld);
    }
  }
}

// Takes at most 1000 bytes at a time, as a pipe, a quota or a signal may make it.
class ShortWrites final : public FileSystem {
 public:
  int writes = 0;
  ssize_t Write(int file, const void* data, size_t bytes) override {
    ++writes;
    return FileSystem::Write(file, data, std::min<size_t>(bytes, 1000));
  }
};

TEST(ReplaceFile, GoesOnAfterAShortWrite) {
  const TempFolder folder;
  ShortWrites files;
  std::string bytes;
  for (int i = 0; bytes.size() < 10'500; ++i) bytes += std::to_string(i);
  ReplaceFile(files, folder.path() / "state", bytes);
  EXPECT_EQ(SlurpFile(folder.path() / "state"), bytes);
  EXPECT_EQ(files.writes, 11);
}

TEST(ReplaceFile, NamesAFolderThatIsMissing) {
  const TempFolder folder;
  const fs::path path = folder.path() / "none" / "state";
  EXPECT_THAT(RefusalOf([&] { ReplaceFile(FileSystem::Real(), path, kNew); }),
              StartsWith(path.string() + ": cannot be written: No such file"));
}

TEST(MakeFolders, MakesParentsAndLeavesWhatIsThere) {
  const TempFolder folder;
  const fs::path path = folder.path() / "a/b/c";
  MakeFolders(FileSystem::Real(), path);
  testing::WriteFile(path / "kept", "x");
  MakeFolders(FileSystem::Real(), path);
  MakeFolders(FileSystem::Real(), path / "");
  EXPECT_EQ(SlurpFile(path / "kept"), "x");
  EXPECT_THAT(RefusalOf([&] { MakeFolders(FileSystem::Real(), path / "kept"); }),
              HasSubstr("kept: "));
  FaultyFileSystem files;
  files.fail_at = 0;
  files.error = EACCES;
  EXPECT_THAT(RefusalOf([&] { MakeFolders(files, folder.path() / "d/e"); }),
              StartsWith((folder.path() / "d").string() + ": folder cannot be made: Permission"));
}

TEST(ReadFile, ReadsWholeFilesUpToItsLimit) {
  const TempFolder folder;
  const fs::path path = folder.path() / "f";
  testing::WriteFile(path, std::string("a\0\r\nb", 5));
  EXPECT_EQ(ReadFile(path, 5), std::string("a\0\r\nb", 5));
  EXPECT_THAT(RefusalOf([&] { ReadFile(path, 4); }), HasSubstr("has 5 bytes, allowed are 4"));
  testing::WriteFile(path, "");
  EXPECT_EQ(ReadFile(path, 0), "");
}

TEST(ReadFile, RefusesAHugeFileBeforeItTakesMemory) {
  const TempFolder folder;
  const fs::path path = folder.path() / "f";
  testing::WriteFile(path, "x");
  fs::resize_file(path, uintmax_t{1} << 40);  // sparse
  EXPECT_THAT(RefusalOf([&] { ReadFile(path, 1 << 20); }), HasSubstr("has 1099511627776 bytes"));
}

TEST(ReadFile, RefusesWhatIsNoRegularFile) {
  const TempFolder folder;
  EXPECT_THAT(RefusalOf([&] { ReadFile(folder.path(), 10); }), HasSubstr("is not a regular file"));
  EXPECT_THAT(RefusalOf([&] { ReadFile("/dev/zero", 10); }),
              StartsWith("/dev/zero: is not a regular file"));
  const fs::path fifo = folder.path() / "fifo";
  ASSERT_EQ(::mkfifo(fifo.c_str(), 0600), 0);  // nobody will ever write to it
  EXPECT_THAT(RefusalOf([&] { ReadFile(fifo, 10); }), HasSubstr("fifo: is not a regular file"));
  EXPECT_THAT(RefusalOf([&] { ReadFile(folder.path() / "none", 10); }),
              StartsWith((folder.path() / "none").string() + ": cannot be opened: No such file"));
}

TEST(MappedFile, ShowsTheBytesAndMovesThem) {
  const TempFolder folder;
  const fs::path path = folder.path() / "f";
  testing::WriteFile(path, "abc");
  MappedFile file(path);
  const std::byte* data = file.bytes().data();
  const MappedFile moved(std::move(file));
  ASSERT_EQ(moved.bytes().size(), 3u);
  EXPECT_EQ(moved.bytes().data(), data);
  EXPECT_EQ(static_cast<char>(moved.bytes()[2]), 'c');
  testing::WriteFile(path, "");
  EXPECT_TRUE(MappedFile(path).bytes().empty());
  EXPECT_THAT(RefusalOf([&] { MappedFile none(folder.path() / "none"); }),
              HasSubstr("cannot be opened"));
}

}  // namespace
}  // namespace longrope
