#include "eval/text/corpus_index.h"

#include <algorithm>
#include <unordered_map>

#include "eval/errors.h"
#include "eval/storage/digest.h"
#include "eval/storage/hdf5_file.h"

namespace longrope {
namespace {

constexpr size_t kDigestBytes = 32;

// Equal titles get their number in brackets.
class Titles {
 public:
  std::string Tell(const std::string& title) {
    std::string told = title;
    for (int& count = seen_[title]; count++ > 0;) {
      told = title + " (" + std::to_string(count) + ")";
      if (!seen_.contains(told)) break;
    }
    if (told != title) seen_[told] = 1;
    return told;
  }

 private:
  std::unordered_map<std::string, int> seen_;
};

void Add(const TextStream& stream, int64_t bytes, std::string_view digest, CorpusIndex* index) {
  index->numbers.push_back(stream.number());
  index->bytes.push_back(bytes);
  index->digests.append(digest);
}

// The text that the stream stands at, if it is one that counts.
bool AddText(TextStream& stream, CorpusIndex* index) {
  std::optional<std::string> text;
  try {
    text = stream.Text();
  } catch (const InputError&) {  // of a file that is damaged, Next says so again
    Add(stream, 0, std::string(kDigestBytes, '\0'), index);
    return true;
  }
  if (!text) return false;
  Sha256 hash;
  hash.Add(*text);
  const auto digest = hash.Finish();
  Add(stream, static_cast<int64_t>(text->size()),
      {reinterpret_cast<const char*>(digest.data()), digest.size()}, index);
  return true;
}

}  // namespace

std::string CorpusIndex::Digest(size_t index) const {
  std::array<unsigned char, kDigestBytes> digest;
  std::ranges::copy_n(digests.begin() + static_cast<std::ptrdiff_t>(index * kDigestBytes),
                      kDigestBytes, digest.begin());
  const bool none = std::ranges::all_of(digest, [](unsigned char byte) { return byte == 0; });
  return none ? "" : Hex(digest);
}

CorpusIndex IndexTexts(const std::filesystem::path& path, const JsonRecords& records,
                       const Listener& listener) {
  Pace pace(listener, "looking through " + path.string());
  const auto stream = OpenTextStream(path, records);
  const bool titled = IsTar(path);
  CorpusIndex index;
  Titles titles;
  while (stream->Next()) {
    pace.At(stream->bytes().position(), stream->bytes().size());
    if (!AddText(*stream, &index)) continue;
    if (titled) index.titles.push_back(titles.Tell(stream->Title()));
    if (index.size() > kMaxIndexedTexts) {
      throw InputError(path.string() + ": holds more than " + std::to_string(kMaxIndexedTexts) +
                       " texts; allowed: a smaller file, or data.filter to take fewer of them");
    }
  }
  return index;
}

std::string WriteIndex(const CorpusIndex& index, const std::string& key) {
  std::string titles;
  for (const std::string& title : index.titles) titles += title + "\n";
  Hdf5Writer file;
  file.Write("/key", key);
  file.Write("/numbers", index.numbers);
  file.Write("/bytes", index.bytes);
  file.Write("/digests", index.digests);
  file.Write("/titles", titles);
  return file.Finish();
}

CorpusIndex ReadIndex(std::string bytes, const std::string& key, const std::string& name) {
  const Hdf5Reader file(std::move(bytes), name);
  if (file.Text("/key") != key) throw InputError(name + ": is of another file");
  CorpusIndex index;
  index.numbers = file.Integers("/numbers");
  index.bytes = file.Integers("/bytes");
  index.digests = file.Text("/digests");
  const std::string titles = file.Text("/titles");
  for (size_t at = 0; at < titles.size();) {
    const size_t end = titles.find('\n', at);
    index.titles.push_back(titles.substr(at, end - at));
    at = end == std::string::npos ? titles.size() : end + 1;
  }
  const size_t count = index.size();
  if (index.bytes.size() != count || index.digests.size() != count * kDigestBytes ||
      (!index.titles.empty() && index.titles.size() != count)) {
    throw InputError(name + ": its lists are not of one length");
  }
  return index;
}

}  // namespace longrope
