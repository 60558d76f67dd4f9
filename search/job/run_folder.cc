#include "search/job/run_folder.h"

#include <fcntl.h>
#include <sys/file.h>
#include <unistd.h>

#include <cerrno>
#include <utility>

namespace longrope {
namespace fs = std::filesystem;
namespace {

constexpr std::string_view kLockFile = "lock";

std::string Holder(int file) {
  char text[64] = {};
  const ssize_t got = ::pread(file, text, sizeof(text) - 1, 0);
  std::string holder(text, got > 0 ? static_cast<size_t>(got) : 0);
  while (!holder.empty() && holder.back() == '\n') holder.pop_back();
  return holder.empty() ? "another process" : holder;
}

void RefuseUsed(const fs::path& folder) {
  if (!fs::exists(folder / kJobFile)) return;
  throw InputError(folder.string() + ": holds a run already; go on with \"longrope resume " +
                   folder.string() + "\", or give another output.folder");
}

}  // namespace

RunLock::RunLock(const fs::path& folder) {
  const fs::path path = folder / kLockFile;
  file_ = ::open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0666);
  if (file_ < 0) ThrowFileError(path, "cannot be opened");
  if (::flock(file_, LOCK_EX | LOCK_NB) != 0) {
    const bool held = errno == EWOULDBLOCK;
    const std::string holder = Holder(file_);
    ::close(file_);
    if (!held) ThrowFileError(path, "cannot be locked");
    throw InputError(folder.string() + ": " + holder + " is working on this run; wait for it, or "
                                                       "give another output.folder");
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

RunFolder::RunFolder(FileSystem& files, fs::path folder, bool made)
    : files_(&files), folder_(std::move(folder)), made_(made) {}

RunFolder RunFolder::Create(FileSystem& files, const fs::path& folder) {
  RefuseUsed(folder);
  RunFolder run(files, folder, !fs::exists(folder));
  MakeFolders(files, folder);
  try {
    run.lock_ = std::make_unique<RunLock>(folder);
  } catch (const InputError&) {
    std::error_code ignored;
    if (run.made_) fs::remove(folder, ignored);  // only if it is empty
    throw;
  }
  RefuseUsed(folder);  // another run may have begun, and ended, meanwhile
  return run;
}

RunFolder RunFolder::Open(FileSystem& files, const fs::path& folder) {
  if (!fs::exists(folder / kJobFile)) {
    throw InputError(folder.string() + ": holds no run (no " + std::string(kJobFile) + ")");
  }
  RunFolder run(files, folder, false);
  run.lock_ = std::make_unique<RunLock>(folder);
  return run;
}

void RunFolder::Replace(std::string_view name, std::string_view bytes) const {
  ReplaceFile(*files_, File(name), bytes);
}

void RunFolder::Append(std::string_view name, std::string_view text) const {
  const fs::path path = File(name);
  const int file = files_->Open(path.string(), O_WRONLY | O_CREAT | O_APPEND, 0666);
  if (file < 0) ThrowFileError(path, "cannot be opened");
  const ssize_t written = files_->Write(file, text.data(), text.size());
  const int reason = errno;
  files_->Close(file);
  errno = reason;
  if (written != static_cast<ssize_t>(text.size())) ThrowFileError(path, "cannot be written");
}

void RunFolder::SaveCheckpoint(std::string_view bytes) const {
  const std::string current = File(kCheckpointFile).string();
  if (fs::exists(current)) {
    // A second name for the old file, moved into place: there is never a moment without one.
    const std::string link = File(kPreviousCheckpointFile).string() + ".tmp";
    files_->Unlink(link);
    if (files_->Link(current, link) != 0 ||
        files_->Rename(link, File(kPreviousCheckpointFile).string()) != 0) {
      ThrowFileError(File(kPreviousCheckpointFile), "cannot be written");
    }
  }
  Replace(kCheckpointFile, bytes);
}

void RunFolder::Abandon() {
  for (std::string_view name : {kJobFile, kLogFile, kLockFile}) {
    files_->Unlink(File(name).string());
  }
  std::error_code ignored;
  if (made_) fs::remove(folder_, ignored);  // only if it is empty
}

}  // namespace longrope
