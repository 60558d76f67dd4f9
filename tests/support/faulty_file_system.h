// System calls that fail when a test says so.
#pragma once

#include <cerrno>
#include <string>
#include <vector>

#include "eval/storage/file_system.h"

namespace longrope::testing {

// Does what the system does, except that call number `fail_at` (from 0, all kinds counted) fails
// with `error` and, if `sticky`, so does every later one. Keeps the names of the calls.
class FaultyFileSystem final : public FileSystem {
 public:
  int64_t fail_at = -1;
  int error = EIO;
  bool sticky = false;
  std::vector<std::string> calls;

  int Open(const std::string& path, int flags, mode_t mode) override {
    return Fails("open " + path) ? -1 : FileSystem::Open(path, flags, mode);
  }
  ssize_t Write(int file, const void* data, size_t bytes) override {
    if (!Fails("write")) return FileSystem::Write(file, data, bytes);
    // A full disk takes a part first.
    const int reason = errno;
    if (bytes > 1 && reason == ENOSPC) FileSystem::Write(file, data, bytes / 2);
    errno = reason;
    return -1;
  }
  int Sync(int file) override { return Fails("sync") ? -1 : FileSystem::Sync(file); }
  int Close(int file) override {
    const bool fails = Fails("close");
    const int reason = errno;
    const int result = FileSystem::Close(file);  // a failed close still frees the descriptor
    errno = reason;
    return fails ? -1 : result;
  }
  int Rename(const std::string& from, const std::string& to) override {
    return Fails("rename " + to) ? -1 : FileSystem::Rename(from, to);
  }
  int Link(const std::string& from, const std::string& to) override {
    return Fails("link " + to) ? -1 : FileSystem::Link(from, to);
  }
  int Unlink(const std::string& path) override {
    return Fails("unlink " + path) ? -1 : FileSystem::Unlink(path);
  }
  int MakeFolder(const std::string& path) override {
    return Fails("mkdir " + path) ? -1 : FileSystem::MakeFolder(path);
  }

 private:
  bool Fails(std::string call) {
    const auto number = static_cast<int64_t>(calls.size());
    calls.push_back(std::move(call));
    const bool fails = number == fail_at || (sticky && fail_at >= 0 && number > fail_at);
    if (fails) errno = error;
    return fails;
  }
};

}  // namespace longrope::testing
