#include "eval/text/text_cache.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/wait.h>
#include <unistd.h>

#include <numeric>

#include "eval/storage/digest.h"
#include "eval/text/books.h"
#include "tests/support/archive_writer.h"
#include "tests/support/byte_tokenizer.h"
#include "tests/support/faulty_file_system.h"
#include "tests/support/temp_folder.h"

namespace longrope {
namespace {

namespace fs = std::filesystem;
using testing::ByteTokenizer;
using ::testing::ElementsAre;
using testing::FaultyFileSystem;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using testing::SlurpFile;
using testing::TempFolder;
using testing::WriteFile;

using Tokens = std::vector<int32_t>;

// Keeps what is said.
struct Ear {
  std::vector<std::string> warnings;
  Listener listener() {
    return {.warn = [this](const std::string& line) { warnings.push_back(line); }};
  }
};

std::vector<fs::path> FilesOf(const fs::path& folder) {
  std::vector<fs::path> files;
  for (const auto& entry : fs::directory_iterator(folder)) files.push_back(entry.path());
  std::ranges::sort(files);
  return files;
}

Tokens Count(int32_t tokens) {
  Tokens ids(static_cast<size_t>(tokens));
  std::iota(ids.begin(), ids.end(), 5);
  return ids;
}

TEST(TextCache, KeepsIdsByTextAndTokenizer) {
  const TempFolder folder;
  Ear ear;
  const TextCacheOptions options{.folder = folder / "deep/cache", .min_text_bytes = 10};
  TextCache cache(FileSystem::Real(), options, ear.listener());
  EXPECT_EQ(cache.Tokens("t", "k"), std::nullopt);
  cache.AddTokens("t", "k", 10, {1, -2, 2147483647});
  cache.AddTokens("short", "k", 9, {1});
  cache.AddTokens("empty", "k", 10, {});
  TextCache later(FileSystem::Real(), options, ear.listener());
  EXPECT_EQ(later.Tokens("t", "k"), (Tokens{1, -2, 2147483647}));
  EXPECT_EQ(later.Tokens("empty", "k"), Tokens{});
  EXPECT_TRUE(later.HasTokens("t", "k"));
  for (const auto& [text, tokenizer] :
       {std::pair("t", "l"), std::pair("u", "k"), std::pair("short", "k"), std::pair("t k", "")}) {
    EXPECT_FALSE(later.HasTokens(text, tokenizer));
    EXPECT_EQ(later.Tokens(text, tokenizer), std::nullopt);
  }
  EXPECT_THAT(ear.warnings, IsEmpty());
}

TEST(TextCache, EqualIdsGiveEqualFiles) {
  const TempFolder folder;
  for (const char* name : {"a", "b"}) {
    TextCache(FileSystem::Real(), {.folder = folder / name}, {})
        .AddTokens("t", "k", 1 << 20, Count(100'000));
  }
  const auto a = FilesOf(folder / "a"), b = FilesOf(folder / "b");
  ASSERT_EQ(a.size(), 1u);
  EXPECT_EQ(a[0].filename(), b.at(0).filename());
  EXPECT_EQ(Sha256Hex(SlurpFile(a[0])), Sha256Hex(SlurpFile(b[0])));
  EXPECT_LT(fs::file_size(a[0]), 480'000u);  // 4 bytes an id
}

TEST(TextCache, NeverTrustsADamagedFile) {
  const TempFolder folder;
  const TextCacheOptions options{.folder = folder.path(), .min_text_bytes = 0};
  TextCache(FileSystem::Real(), options, {}).AddTokens("t", "k", 1, Count(50));
  const fs::path path = FilesOf(folder.path()).at(0);
  const std::string whole = SlurpFile(path);
  Ear ear;
  TextCache cache(FileSystem::Real(), options, ear.listener());
  size_t damaged = 0;
  for (size_t bit = 0; bit < whole.size() * 8; bit += 1009) {
    std::string bytes = whole;
    bytes[bit / 8] = static_cast<char>(bytes[bit / 8] ^ 1 << bit % 8);
    WriteFile(path, bytes);
    EXPECT_EQ(cache.Tokens("t", "k"), std::nullopt) << bit;
    EXPECT_EQ(ear.warnings.size(), ++damaged);
  }
  for (size_t length = 0; length < whole.size(); length += 997) {
    WriteFile(path, whole.substr(0, length));
    EXPECT_EQ(cache.Tokens("t", "k"), std::nullopt) << length;
    EXPECT_EQ(ear.warnings.size(), ++damaged);
  }
  EXPECT_THAT(ear.warnings.back(), HasSubstr("; it is made anew"));
  cache.AddTokens("t", "k", 1, Count(50));
  EXPECT_EQ(SlurpFile(path), whole);
  EXPECT_EQ(cache.Tokens("t", "k"), Count(50));
}

TEST(TextCache, AFileUnderAnotherNameIsNotTrusted) {
  const TempFolder folder;
  const TextCacheOptions options{.folder = folder.path(), .min_text_bytes = 0};
  Ear ear;
  TextCache cache(FileSystem::Real(), options, ear.listener());
  cache.AddTokens("t", "k", 1, Count(5));
  const fs::path first = FilesOf(folder.path()).at(0);
  const std::string bytes = SlurpFile(first);
  fs::remove(first);
  cache.AddTokens("u", "k", 1, Count(6));
  WriteFile(FilesOf(folder.path()).at(0), bytes);
  EXPECT_EQ(cache.Tokens("u", "k"), std::nullopt);
  EXPECT_THAT(ear.warnings, ElementsAre(HasSubstr("is of another text")));
}

TEST(TextCache, GoesOnWhereItCannotWrite) {
  const TempFolder folder;
  for (int64_t fail_at = 0;; ++fail_at) {
    FaultyFileSystem files;
    files.fail_at = fail_at;
    Ear ear;
    const TextCacheOptions options{.folder = folder / "c", .min_text_bytes = 0};
    TextCache cache(files, options, ear.listener());
    cache.AddTokens("t", "k", 1, Count(9));
    const bool failed = fail_at < static_cast<int64_t>(files.calls.size());
    // What is there is whole.
    const auto tokens = TextCache(FileSystem::Real(), options, ear.listener()).Tokens("t", "k");
    EXPECT_EQ(tokens.value_or(Count(9)), Count(9));
    EXPECT_LE(ear.warnings.size(), 1u);
    if (!failed) {
      EXPECT_EQ(tokens, Count(9));
      EXPECT_THAT(ear.warnings, IsEmpty());
      break;
    }
    cache.AddTokens("u", "k", 1, Count(9));  // says nothing more
    EXPECT_LE(ear.warnings.size(), 1u);
    fs::remove_all(folder / "c");
  }
  // A file stands where the folder should be.
  WriteFile(folder / "file", "x");
  Ear ear;
  TextCache cache(FileSystem::Real(), {.folder = folder / "file/c", .min_text_bytes = 0},
                  ear.listener());
  cache.AddTokens("t", "k", 1, Count(9));
  EXPECT_EQ(cache.Tokens("t", "k"), std::nullopt);
  EXPECT_THAT(ear.warnings, ElementsAre(HasSubstr("; tokenized texts are not kept")));
}

TEST(TextCache, WritesNothingWhereItMayNot) {
  const TempFolder folder;
  for (const TextCacheOptions& options :
       {TextCacheOptions{.folder = folder / "c", .min_text_bytes = 0, .writes = false},
        TextCacheOptions{.min_text_bytes = 0}}) {
    TextCache cache(FileSystem::Real(), options, {});
    cache.AddTokens("t", "k", 1, Count(9));
    EXPECT_EQ(cache.Tokens("t", "k"), std::nullopt);
  }
  EXPECT_THAT(FilesOf(folder.path()), IsEmpty());
}

TEST(TextCache, TheOldestFilesGo) {
  const TempFolder folder;
  TextCacheOptions options{.folder = folder / "one", .min_text_bytes = 0};
  TextCache(FileSystem::Real(), options, {}).AddTokens("0", "k", 1, Count(2000));
  const auto size = static_cast<int64_t>(fs::file_size(FilesOf(folder / "one").at(0)));
  fs::remove_all(folder / "one");
  options.folder = folder.path();
  options.max_bytes = 2 * size + size / 2;
  TextCache cache(FileSystem::Real(), options, {});
  WriteFile(folder / "README", std::string(100'000, 'x'));  // is not ours to remove
  WriteFile(folder / "old.h5.tmp.1", "x");
  fs::last_write_time(folder / "old.h5.tmp.1",
                      fs::file_time_type::clock::now() - std::chrono::hours(2));
  WriteFile(folder / "new.h5.tmp.2", "x");
  fs::path kept;
  for (int i = 0; i < 5; ++i) {
    const auto before = FilesOf(folder.path());
    cache.AddTokens(std::to_string(i), "k", 1, Count(2000));
    for (const fs::path& path : FilesOf(folder.path())) {
      if (std::ranges::find(before, path) != before.end()) continue;
      fs::last_write_time(path, fs::file_time_type::clock::now() - std::chrono::minutes(10 - i));
    }
  }
  for (int i = 0; i < 5; ++i) {
    EXPECT_EQ(cache.HasTokens(std::to_string(i), "k"), i >= 3) << i;
  }
  EXPECT_TRUE(fs::exists(folder / "README"));
  EXPECT_FALSE(fs::exists(folder / "old.h5.tmp.1"));
  EXPECT_TRUE(fs::exists(folder / "new.h5.tmp.2"));
  cache.AddTokens("big", "k", 1, Count(50'000));  // would not fit alone
  EXPECT_TRUE(cache.HasTokens("4", "k"));
}

// Counts what is tokenized.
class CountingTokenizer final : public Tokenizer {
 public:
  Tokens Encode(std::string_view text) const override {
    ++texts;
    return bytes_.Encode(text);
  }
  Tokens Prefix() const override { return bytes_.Prefix(); }
  const std::string& Digest() const override { return bytes_.Digest(); }
  mutable int texts = 0;

 private:
  ByteTokenizer bytes_;
};

TEST(TokenizedBooks, NoTextIsTokenizedTwice) {
  const TempFolder folder;
  fs::create_directory(folder / "texts");
  WriteFile(folder / "texts/a.txt", "one\r\n");
  WriteFile(folder / "texts/b.txt", "one\n");  // the same text
  WriteFile(folder / "a.jsonl.gz", testing::Packed("{\"text\":\"one\\n\"}\n{\"text\":\"two\"}\n",
                                                   testing::Packing::kGzip));
  const CountingTokenizer tokenizer;
  const auto read = [&](const char* name) {
    TextCache cache(FileSystem::Real(), {.folder = folder / "c", .min_text_bytes = 0}, {});
    const TokenizedBooks books(OpenCorpus({.path = folder / name, .cache = &cache}), &tokenizer,
                               &cache, {});
    std::vector<size_t> order(books.size());
    std::iota(order.begin(), order.end(), size_t{0});
    books.WillRead(order);
    std::vector<Tokens> all;
    for (size_t i : order) all.push_back(books.Tokens(i));
    return all;
  };
  const Tokens one = {1, 'o', 'n', 'e', '\n'}, two = {1, 't', 'w', 'o'};
  EXPECT_THAT(read("texts"), ElementsAre(one, one));
  EXPECT_EQ(tokenizer.texts, 1);
  EXPECT_THAT(read("a.jsonl.gz"), ElementsAre(one, two));
  EXPECT_EQ(tokenizer.texts, 2);
  EXPECT_THAT(read("a.jsonl.gz"), ElementsAre(one, two));
  EXPECT_THAT(read("texts/a.txt"), ElementsAre(one));
  EXPECT_EQ(tokenizer.texts, 2);
}

TEST(TextCache, AnIndexIsOfTheFileAsItStands) {
  const TempFolder folder;
  const fs::path file = folder / "a.jsonl.gz";
  WriteFile(file, "1");
  int made = 0;
  const auto make = [&] {
    ++made;
    return CorpusIndex{{1, 4}, {10, 20}, std::string(64, 'd'), {"a", "b"}};
  };
  const auto index = [&](const std::string& selection) {
    TextCache cache(FileSystem::Real(), {.folder = folder / "c"}, {});
    const auto found = cache.Index(file, selection, make);
    EXPECT_EQ(cache.Index(file, selection, make), found);
    return *found;
  };
  for (int times = 0; times < 2; ++times) {
    const CorpusIndex found = index("text");
    EXPECT_THAT(found.numbers, ElementsAre(1, 4));
    EXPECT_THAT(found.bytes, ElementsAre(10, 20));
    EXPECT_THAT(found.titles, ElementsAre("a", "b"));
    EXPECT_EQ(found.Digest(1), Hex({'d', 'd', 'd', 'd', 'd', 'd', 'd', 'd', 'd', 'd', 'd',
                                    'd', 'd', 'd', 'd', 'd', 'd', 'd', 'd', 'd', 'd', 'd',
                                    'd', 'd', 'd', 'd', 'd', 'd', 'd', 'd', 'd', 'd'}));
    EXPECT_EQ(made, 1);
  }
  index("body");
  EXPECT_EQ(made, 2);
  WriteFile(file, "12");
  index("text");
  EXPECT_EQ(made, 3);
  for (const fs::path& path : FilesOf(folder / "c")) WriteFile(path, "damaged");
  index("text");
  EXPECT_EQ(made, 4);
}

// Each of them looks through the folder now and then, not at every file.
TEST(TextCache, ItsSizeHoldsBesideOthersThatWrite) {
  const TempFolder folder;
  const TextCacheOptions options{.folder = folder / "c", .max_bytes = 400'000, .min_text_bytes = 0};
  std::vector<TextCache> caches(2, TextCache(FileSystem::Real(), options, {}));
  const auto total = [&] {
    int64_t bytes = 0;
    for (const fs::path& path : FilesOf(options.folder)) bytes += fs::file_size(path);
    return bytes;
  };
  int64_t most = 0;
  for (int i = 0; i < 200; ++i) {
    caches[i % 2].AddTokens(std::to_string(i), "k", 1, Count(2000));
    most = std::max(most, total());
  }
  EXPECT_GT(most, options.max_bytes * 3 / 4);
  EXPECT_LE(most, options.max_bytes * 9 / 8);
}

// Several processes fill and read one folder at once: whatever is read is right.
TEST(TextCache, ProcessesShareAFolder) {
  const TempFolder folder;
  const auto work = [&](int seed) {
    int wrong = 0;
    TextCache cache(FileSystem::Real(),
                    {.folder = folder / "c", .max_bytes = 600'000, .min_text_bytes = 0},
                    {.warn = [&](const std::string& line) {
                      // Another may take a file away between a look and a read.
                      wrong += line.find("cannot be opened") == std::string::npos;
                    }});
    for (int i = 0; i < 120; ++i) {
      const int text = (i * 7 + seed) % 12;
      const auto tokens = cache.Tokens(std::to_string(text), "k");
      if (tokens) {
        wrong += *tokens != Count(1000 + text);
      } else {
        cache.AddTokens(std::to_string(text), "k", 1, Count(1000 + text));
      }
    }
    return wrong;
  };
  std::vector<pid_t> children;
  for (int seed = 0; seed < 3; ++seed) {
    const pid_t child = ::fork();
    ASSERT_GE(child, 0);
    if (child == 0) ::_exit(work(seed) == 0 ? 0 : 1);
    children.push_back(child);
  }
  for (const pid_t child : children) {
    int status = -1;
    ASSERT_EQ(::waitpid(child, &status, 0), child);
    EXPECT_EQ(status, 0);
  }
  for (const fs::path& path : FilesOf(folder / "c")) EXPECT_EQ(path.extension(), ".h5") << path;
}

}  // namespace
}  // namespace longrope
