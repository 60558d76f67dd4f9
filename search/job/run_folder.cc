#include "search/job/run_folder.h"

#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <utility>

namespace longrope {
namespace fs = std::filesystem;
namespace {

std::string Holder(int file) {
  char text[64] = {};
  const ssize_t got = ::pread(file, text, sizeof(text) - 1, 0);
  std::string holder(text, got > 0 ? static_cast<size_t>(got) : 0);
  while (!holder.empty() && holder.back() == '\n') holder.pop_back();
  return holder.empty() ? "another process" : holder;
}

// Is this open file still the one that `path` names?
bool Names(const fs::path& path, int file) {
  struct stat opened {
  }, named{};
  return ::fstat(file, &opened) == 0 && ::stat(path.c_str(), &named) == 0 &&
         opened.st_dev == named.st_dev && opened.st_ino == named.st_ino;
}

void RefuseUsed(const fs::path& folder) {
  if (fs::exists(folder / kJobFile)) {
    throw InputError(folder.string() + ": holds a run already; go on with \"longrope resume " +
                     folder.string() + "\", or give another output.folder");
  }
  for (std::string_view name : {kFactorsFile, kTableFile, kCheckpointFile}) {
    if (!fs::exists(folder / name)) continue;
    throw InputError(folder.string() + ": holds a " + std::string(name) +
                     " already, which a run would write over; give another output.folder");
  }
}

// The folders of `path` that are not there, outermost first.
std::vector<fs::path> MissingFolders(const fs::path& path) {
  std::vector<fs::path> missing;
  fs::path part;
  for (const fs::path& name : path) {
    part /= name;
    if (!name.empty() && !fs::exists(part)) missing.push_back(part);
  }
  return missing;
}

void RemoveIfEmpty(const std::vector<fs::path>& folders) {
  std::error_code ignored;
  for (auto folder = folders.rbegin(); folder != folders.rend(); ++folder) {
    fs::remove(*folder, ignored);
  }
}

}  // namespace

std::string RunHolder(const fs::path& folder) {
  const int file = ::open((folder / kLockFile).c_str(), O_RDONLY | O_CLOEXEC);
  if (file < 0) return "";
  const bool held = ::flock(file, LOCK_SH | LOCK_NB) != 0 && errno == EWOULDBLOCK;
  const std::string holder = held ? Holder(file) : "";
  ::close(file);
  return holder;
}

RunLock::RunLock(const fs::path& folder) {
  const fs::path path = folder / kLockFile;
  file_ = ::open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0666);
  if (file_ < 0) ThrowFileError(path, "cannot be opened");
  if (::flock(file_, LOCK_EX | LOCK_NB) != 0) {
    const bool held = errno == EWOULDBLOCK;
    const std::string holder = Holder(file_);
    ::close(file_);
    if (!held) ThrowFileError(path, "cannot be locked");
    throw InputError(folder.string() + ": " + holder + " is working on this run; wait for it");
  }
  // A run that could not begin removes its lock file: what was opened just before is no lock then.
  if (!Names(path, file_)) {
    ::close(file_);
    throw InputError(folder.string() +
                     ": another process was working on this run just now; try "
                     "again");
  }
  const std::string holder = "process " + std::to_string(::getpid()) + "\n";
  // Only a help to people: the lock holds without it.
  if (::ftruncate(file_, 0) != 0 ||
      ::pwrite(file_, holder.data(), holder.size(), 0) != static_cast<ssize_t>(holder.size())) {
    ::close(file_);
    ThrowFileError(path, "cannot be written");
  }
}

RunLock::~RunLock() { ::close(file_); }

RunFolder RunFolder::Create(FileSystem& files, const fs::path& folder) {
  RefuseUsed(folder);
  RunFolder run(files, folder);
  run.created_ = true;
  run.made_ = MissingFolders(folder);
  run.had_log_ = fs::exists(folder / kLogFile);
  MakeFolders(files, folder);
  try {
    run.lock_ = std::make_unique<RunLock>(folder);
  } catch (const InputError&) {
    RemoveIfEmpty(run.made_);
    throw;
  }
  RefuseUsed(folder);  // another run may have begun, and ended, meanwhile
  return run;
}

RunFolder RunFolder::Open(FileSystem& files, const fs::path& folder) {
  if (!fs::exists(folder / kJobFile)) {
    throw InputError(folder.string() + ": holds no run (no " + std::string(kJobFile) + ")");
  }
  if (fs::exists(folder / kCheckpointFile)) {
    throw InputError(folder.string() + ": holds a " + std::string(kCheckpointFile) +
                     " of an earlier version, which kept no folder for each stage; go on with that "
                     "version, or search anew into another output.folder");
  }
  RunFolder run(files, folder);
  run.lock_ = std::make_unique<RunLock>(folder);
  SweepTemporaries(files, folder);
  return run;
}

void RunFolder::Begin(const Folder& folder) {
  for (fs::path& path : MissingFolders(folder.path())) made_.push_back(std::move(path));
  folder.Make();
}

void RunFolder::Abandon() {
  if (!created_) return;
  for (std::string_view name : {kJobFile, kLogFile, kLockFile, kKeyTokensFile}) {
    if (name == kLogFile && had_log_) continue;
    files().Unlink(File(name).string());
  }
  std::error_code ignored;
  fs::remove_all(File(kWorkerTokens), ignored);
  RemoveIfEmpty(made_);
}

}  // namespace longrope
