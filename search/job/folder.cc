#include "search/job/folder.h"

#include <string>

namespace longrope {

void Folder::Make() const {
  if (std::filesystem::exists(path_)) {
    SweepTemporaries(*files_, path_);
  } else {
    MakeFolders(*files_, path_);
  }
}

void Folder::Replace(std::string_view name, std::string_view bytes) const {
  ReplaceFile(*files_, File(name), bytes);
}

void Folder::Append(std::string_view name, std::string_view text) const {
  AppendFile(*files_, File(name), text);
}

void Folder::KeepPrevious() const {
  const std::string current = File(kCheckpointFile).string();
  const std::filesystem::path previous = File(kPreviousCheckpointFile);
  // A second name for the old file, moved into place: there is never a moment without one.
  const std::string link = previous.string() + kTemporaryMark + "link";
  files_->Unlink(link);
  if (files_->Link(current, link) != 0) {  // not every file system has hard links
    ReplaceFile(*files_, previous, ReadFile(current, INT64_MAX));
    return;
  }
  if (files_->Rename(link, previous.string()) != 0) ThrowFileError(previous, "cannot be written");
  // rename does nothing between two names of one file, as after a save that failed half-way.
  files_->Unlink(link);
}

void Folder::SaveCheckpoint(std::string_view bytes) const {
  if (Has(kCheckpointFile)) KeepPrevious();
  Replace(kCheckpointFile, bytes);
}

void Folder::SetResultsAside() const {
  for (const auto& [name, previous] :
       {std::pair{kFactorsFile, kPreviousFactorsFile}, std::pair{kTableFile, kPreviousTableFile}}) {
    if (Has(name)) Rename(name, previous);
  }
}

void Folder::Rename(std::string_view from, std::string_view to) const {
  if (files_->Rename(File(from).string(), File(to).string()) != 0) {
    ThrowFileError(File(from), "cannot be renamed");
  }
}

}  // namespace longrope
