// The system calls that write state, behind a seam that tests replace to make any of them fail.
#pragma once

#include <sys/types.h>

#include <cerrno>
#include <cstddef>
#include <string>

namespace longrope {

// Each call behaves as the POSIX call it is named after, errno included.
class FileSystem {
 public:
  virtual ~FileSystem() = default;
  virtual int Open(const std::string& path, int flags, mode_t mode);
  virtual ssize_t Write(int file, const void* data, size_t bytes);
  virtual int Sync(int file);
  virtual int Close(int file);
  virtual int Rename(const std::string& from, const std::string& to);
  virtual int Link(const std::string& from, const std::string& to);
  virtual int Unlink(const std::string& path);
  virtual int MakeFolder(const std::string& path);

  // The one that calls the system.
  static FileSystem& Real();
};

// A system call again and again while a signal interrupts it.
template <class Call>
auto RetryInterrupted(const Call& call) {
  auto result = call();
  while (result < 0 && errno == EINTR) result = call();
  return result;
}

}  // namespace longrope
