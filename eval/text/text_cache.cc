#include "eval/text/text_cache.h"

#include <sys/stat.h>

#include <algorithm>

#include "eval/errors.h"
#include "eval/storage/digest.h"
#include "eval/storage/files.h"
#include "eval/storage/hdf5_file.h"
#include "eval/storage/sealed_file.h"

namespace longrope {
namespace fs = std::filesystem;
namespace {

constexpr uint32_t kVersion = 1;
constexpr const char* kEnding = ".h5";
constexpr int64_t kMaxFileBytes = int64_t{5} << 30;  // ids of a text of 1 GiB, and some
constexpr auto kAbandoned = std::chrono::hours(1);   // a temporary that nobody writes any more

std::string TokensKey(const std::string& text, const std::string& tokenizer) {
  return text + " " + tokenizer;
}

// What tells a file from what it was before it was changed.
std::string StateOf(const fs::path& path) {
  struct stat status {};
  if (::stat(path.c_str(), &status) != 0) ThrowFileError(path, "cannot be read");
  return fs::absolute(path).lexically_normal().string() + "\n" + std::to_string(status.st_size) +
         " " + std::to_string(status.st_mtim.tv_sec) + "." +
         std::to_string(status.st_mtim.tv_nsec) + " " + std::to_string(status.st_ino);
}

struct Entry {
  fs::path path;
  int64_t bytes;
  fs::file_time_type time;
};

// Files of the cache; another process may take one away at any time.
std::vector<Entry> EntriesOf(const fs::path& folder) {
  std::vector<Entry> entries;
  std::error_code error;
  for (fs::directory_iterator it(folder, error), end; !error && it != end; it.increment(error)) {
    const std::string name = it->path().filename().string();
    if (!name.ends_with(kEnding) && name.find(kEnding + std::string(kTemporaryMark)) == name.npos) {
      continue;
    }
    std::error_code gone;
    const auto bytes = it->file_size(gone);
    const auto time = gone ? fs::file_time_type() : it->last_write_time(gone);
    if (!gone) entries.push_back({it->path(), static_cast<int64_t>(bytes), time});
  }
  return entries;
}

}  // namespace

TextCache::TextCache(FileSystem& files, TextCacheOptions options, Listener listener)
    : files_(files), options_(std::move(options)), listener_(std::move(listener)) {}

fs::path TextCache::File(const char* kind, const std::string& key) const {
  return options_.folder / (kind + ("-" + Sha256Hex(key)) + kEnding);
}

template <class Parse>
auto TextCache::Load(const fs::path& path, const Parse& parse) const
    -> std::optional<decltype(parse(std::string()))> {
  std::error_code none;
  if (options_.folder.empty() || !fs::exists(path, none)) return std::nullopt;
  try {
    return parse(Unseal(ReadFile(path, kMaxFileBytes), kVersion, path.string()));
  } catch (const InputError& error) {
    listener_.Warn(std::string(error.what()) + "; it is made anew");
    return std::nullopt;
  }
}

void TextCache::Write(const fs::path& path, std::string bytes) {
  if (options_.folder.empty() || !options_.writes) return;
  try {
    bytes = Seal(std::move(bytes), kVersion);
    if (static_cast<int64_t>(bytes.size()) > options_.max_bytes) return;
    MakeFolders(files_, options_.folder);
    MakeRoom(static_cast<int64_t>(bytes.size()));
    ReplaceFile(files_, path, bytes);
  } catch (const InputError& error) {
    listener_.Warn(std::string(error.what()) + "; tokenized texts are not kept");
    options_.writes = false;
  }
}

void TextCache::MakeRoom(int64_t bytes) {
  if (bytes <= room_) {
    room_ -= bytes;
    return;
  }
  auto entries = EntriesOf(options_.folder);
  std::ranges::sort(entries, {}, &Entry::time);
  int64_t total = bytes;
  for (const Entry& entry : entries) total += entry.bytes;
  for (const Entry& entry : entries) {
    const bool whole = entry.path.extension() == kEnding;
    const auto age = fs::file_time_type::clock::now() - entry.time;
    if (whole ? total <= options_.max_bytes : age < kAbandoned) continue;
    files_.Unlink(entry.path.string());
    total -= entry.bytes;
  }
  // Others write too.
  room_ = std::clamp<int64_t>(options_.max_bytes - total, 0, options_.max_bytes / 16);
}

std::optional<std::vector<int32_t>> TextCache::Tokens(const std::string& text,
                                                      const std::string& tokenizer) const {
  const std::string key = TokensKey(text, tokenizer);
  const fs::path path = File("tokens", key);
  return Load(path, [&](std::string bytes) {
    const Hdf5Reader file(std::move(bytes), path.string());
    if (file.Text("/key") != key) throw InputError(path.string() + ": is of another text");
    return file.ShortIntegers("/tokens");
  });
}

bool TextCache::HasTokens(const std::string& text, const std::string& tokenizer) const {
  std::error_code none;
  return !options_.folder.empty() && !text.empty() &&
         fs::exists(File("tokens", TokensKey(text, tokenizer)), none);
}

void TextCache::AddTokens(const std::string& text, const std::string& tokenizer, int64_t text_bytes,
                          const std::vector<int32_t>& tokens) {
  if (options_.folder.empty() || !options_.writes || text_bytes < options_.min_text_bytes) return;
  const std::string key = TokensKey(text, tokenizer);
  Hdf5Writer file;
  file.Write("/key", key);
  file.Write("/tokens", tokens);
  Write(File("tokens", key), file.Finish());
}

std::shared_ptr<const CorpusIndex> TextCache::Index(const fs::path& path,
                                                    const std::string& selection,
                                                    const std::function<CorpusIndex()>& make) {
  const std::string key = StateOf(path) + "\n" + selection;
  auto& index = indexes_[key];
  if (index) return index;
  const fs::path file = File("index", key);
  auto kept = Load(
      file, [&](std::string bytes) { return ReadIndex(std::move(bytes), key, file.string()); });
  if (kept) return index = std::make_shared<CorpusIndex>(std::move(*kept));
  auto made = std::make_shared<CorpusIndex>(make());
  if (StateOf(path) + "\n" + selection != key) {
    throw InputError(path.string() + ": was changed while it was read");
  }
  Write(file, WriteIndex(*made, key));
  return index = std::move(made);
}

}  // namespace longrope
