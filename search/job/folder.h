// A folder of a run, and how its files are written.
#pragma once

#include <filesystem>
#include <string_view>
#include <utility>

#include "eval/storage/files.h"

namespace longrope {

class Folder {
 public:
  // `files` outlives the folder, which need not be there yet.
  Folder(FileSystem& files, std::filesystem::path path) : files_(&files), path_(std::move(path)) {}

  const std::filesystem::path& path() const { return path_; }
  FileSystem& files() const { return *files_; }
  std::filesystem::path File(std::string_view name) const { return path_ / name; }
  bool Has(std::string_view name) const { return std::filesystem::exists(File(name)); }
  // A folder in it, which need not be there yet.
  Folder Sub(std::string_view name) const { return {*files_, path_ / name}; }
  // Sees to it that it is there, without what a process that was killed left half-written. Throws
  // FileError.
  void Make() const;
  // ReplaceFile on a file of the folder.
  void Replace(std::string_view name, std::string_view bytes) const;
  // Appends to a file that need not survive a crash whole. Throws FileError.
  void Append(std::string_view name, std::string_view text) const;
  // checkpoint.h5; the one before stays as checkpoint.previous.h5.
  void SaveCheckpoint(std::string_view bytes) const;
  // Gives factors and table of an earlier end, which are no results of what now goes on, other
  // names.
  void SetResultsAside() const;
  // Gives a file of the folder another name. Throws FileError.
  void Rename(std::string_view from, std::string_view to) const;

 private:
  // Gives checkpoint.h5 its second name.
  void KeepPrevious() const;

  FileSystem* files_;
  std::filesystem::path path_;
};

// Files of a run's folder ...
inline constexpr std::string_view kJobFile = "job.yaml", kLogFile = "log.txt", kLockFile = "lock",
                                  kKeyTokensFile = "key_tokens.csv",
                                  kWorkerTokens = "worker.tokens";  // a folder
// ... of it and of a stage's folder in it ...
inline constexpr std::string_view kFactorsFile = "factors.json", kTableFile = "table.csv",
                                  kPreviousFactorsFile = "factors.previous.json",
                                  kPreviousTableFile = "table.previous.csv";
// ... and of a stage's.
inline constexpr std::string_view kCheckpointFile = "checkpoint.h5",
                                  kPreviousCheckpointFile = "checkpoint.previous.h5",
                                  kDamagedCheckpointFile = "checkpoint.damaged.h5",
                                  kHistoryFile = "history.csv", kTimesFile = "times.csv",
                                  kBestFile = "best.json", kStageFile = "stage.yaml",
                                  kEvaluationFile = "results.json";

}  // namespace longrope
