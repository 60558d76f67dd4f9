#include "eval/external/shared_files.h"

#include "eval/storage/digest.h"
#include "eval/storage/files.h"

namespace longrope {
namespace {

constexpr int64_t kMaxSharedBytes = int64_t{1} << 34;

}  // namespace

SharedFiles::~SharedFiles() {
  std::error_code left_to_the_user;
  if (std::filesystem::exists(folder_, left_to_the_user)) {
    std::filesystem::remove_all(folder_, left_to_the_user);
  }
}

SharedBytes SharedFiles::ShareBytes(std::string bytes, const char* suffix, bool in_line) {
  if (in_line) return {"", "", std::move(bytes)};
  const std::string digest = Sha256Hex(bytes);
  const std::filesystem::path path = folder_ / (digest + suffix);
  std::error_code unknown;
  if (!written_.contains(path) || !std::filesystem::exists(path, unknown)) {
    MakeFolders(FileSystem::Real(), folder_);
    ReplaceFile(FileSystem::Real(), path, bytes);
    written_.insert(path);
  }
  return {path.string(), digest, ""};
}

StartMessage SharedFiles::Share(const std::vector<Document>& documents, bool in_line) {
  StartMessage start;
  for (const Document& document : documents) {
    SharedDocument shared;
    shared.length = static_cast<int64_t>(document.tokens.size());
    shared.tokens = ShareBytes(TokenBytes(document.tokens), ".tokens", in_line);
    if (!document.scored.empty()) {
      shared.scored =
          ShareBytes({document.scored.begin(), document.scored.end()}, ".scored", in_line);
    }
    start.documents.push_back(std::move(shared));
  }
  return start;
}

std::string ReadShared(const SharedBytes& shared) {
  if (shared.path.empty()) return shared.bytes;
  std::string bytes = ReadFile(shared.path, kMaxSharedBytes);
  if (Sha256Hex(bytes) != shared.sha256) {
    throw InputError(shared.path + ": holds something else than its SHA-256 says");
  }
  return bytes;
}

}  // namespace longrope
