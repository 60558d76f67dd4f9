// The folder of one run: who may write to it, and how its files are written. What they hold:
// results/README.md.
#pragma once

#include <filesystem>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "eval/storage/files.h"

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

class RunFolder {
 public:
  // A folder for a new run, made with its parents and locked. Throws InputError if a run is there
  // already, naming `resume`.
  static RunFolder Create(FileSystem& files, const std::filesystem::path& folder);
  // The folder of a run that began before, locked. Throws InputError if there is none.
  static RunFolder Open(FileSystem& files, const std::filesystem::path& folder);

  const std::filesystem::path& path() const { return folder_; }
  std::filesystem::path File(std::string_view name) const { return folder_ / name; }
  // ReplaceFile on a file of the folder.
  void Replace(std::string_view name, std::string_view bytes) const;
  // Appends to a file that need not survive a crash whole. Throws FileError.
  void Append(std::string_view name, std::string_view text) const;
  // checkpoint.h5; the one before stays as checkpoint.previous.h5.
  void SaveCheckpoint(std::string_view bytes) const;
  // Gives a file of the folder another name. Throws FileError.
  void Rename(std::string_view from, std::string_view to) const;
  // Removes what Create and this run wrote, so that nothing is left of a run that could not begin.
  // Nothing happens to a folder that Open opened: what is there began earlier.
  void Abandon();

 private:
  RunFolder(FileSystem& files, std::filesystem::path folder)
      : files_(&files), folder_(std::move(folder)) {}
  // Gives checkpoint.h5 its second name.
  void KeepPrevious() const;

  FileSystem* files_;
  std::filesystem::path folder_;
  bool created_ = false;                     // by Create
  std::vector<std::filesystem::path> made_;  // folders that were not there before, outermost first
  bool had_log_ = false;                     // before Create
  std::unique_ptr<RunLock> lock_;
};

// Names of the files of a run.
inline constexpr std::string_view kJobFile = "job.yaml", kCheckpointFile = "checkpoint.h5",
                                  kPreviousCheckpointFile = "checkpoint.previous.h5",
                                  kDamagedCheckpointFile = "checkpoint.damaged.h5",
                                  kPreviousFactorsFile = "factors.previous.json",
                                  kPreviousTableFile = "table.previous.csv",
                                  kHistoryFile = "history.csv", kTimesFile = "times.csv",
                                  kLogFile = "log.txt", kBestFile = "best.json",
                                  kFactorsFile = "factors.json", kTableFile = "table.csv",
                                  kKeyTokensFile = "key_tokens.csv";

}  // namespace longrope
