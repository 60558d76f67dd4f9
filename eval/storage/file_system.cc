#include "eval/storage/file_system.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cstdio>

namespace longrope {

int FileSystem::Open(const std::string& path, int flags, mode_t mode) {
  return ::open(path.c_str(), flags | O_CLOEXEC, mode);
}
ssize_t FileSystem::Write(int file, const void* data, size_t bytes) {
  return ::write(file, data, bytes);
}
int FileSystem::Sync(int file) { return ::fsync(file); }
int FileSystem::Close(int file) { return ::close(file); }
int FileSystem::Rename(const std::string& from, const std::string& to) {
  return std::rename(from.c_str(), to.c_str());
}
int FileSystem::Link(const std::string& from, const std::string& to) {
  return ::link(from.c_str(), to.c_str());
}
int FileSystem::Unlink(const std::string& path) { return ::unlink(path.c_str()); }
int FileSystem::MakeFolder(const std::string& path) { return ::mkdir(path.c_str(), 0777); }

FileSystem& FileSystem::Real() {
  static FileSystem real;
  return real;
}

}  // namespace longrope
