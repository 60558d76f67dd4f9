// The folder of one run: who may write to it. What its files hold: results/README.md.
#pragma once

#include <filesystem>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "search/job/folder.h"

namespace longrope {

// Who works on the run in this folder, as "process 123"; "" if nobody does.
std::string RunHolder(const std::filesystem::path& folder);

// Exclusive right to a run folder, by flock on <folder>/lock: between processes and, since every
// lock opens the file anew, between two runs of one process. Released with the object or the
// process.
class RunLock {
 public:
  // Throws InputError that says who holds it.
  explicit RunLock(const std::filesystem::path& folder);
  RunLock(const RunLock&) = delete;
  RunLock& operator=(const RunLock&) = delete;
  ~RunLock();

 private:
  int file_ = -1;
};

class RunFolder : public Folder {
 public:
  // A folder for a new run, made with its parents and locked. Throws InputError if a run is there
  // already, naming `resume`.
  static RunFolder Create(FileSystem& files, const std::filesystem::path& folder);
  // The folder of a run that began before, locked. Throws InputError if there is none.
  static RunFolder Open(FileSystem& files, const std::filesystem::path& folder);

  // Makes a folder in it, which Abandon will remove.
  void Begin(const Folder& folder);
  // Removes what Create and this run wrote, so that nothing is left of a run that could not begin.
  // Nothing happens to a folder that Open opened: what is there began earlier.
  void Abandon();

 private:
  using Folder::Folder;

  bool created_ = false;                     // by Create
  std::vector<std::filesystem::path> made_;  // folders that were not there before, outermost first
  bool had_log_ = false;                     // before Create
  std::unique_ptr<RunLock> lock_;
};

}  // namespace longrope
