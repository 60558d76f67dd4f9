#include "eval/text/streamed_corpus.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <numeric>
#include <random>

#include "eval/storage/digest.h"
#include "tests/support/archive_writer.h"
#include "tests/support/refusal.h"
#include "tests/support/temp_folder.h"

namespace longrope {
namespace {

namespace fs = std::filesystem;
using ::testing::AllOf;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using testing::Packed;
using testing::PackedTar;
using testing::Packing;
using testing::RefusalOf;
using ::testing::StartsWith;
using testing::TempFolder;
using testing::WriteFile;

std::vector<std::string> TitlesOf(const Corpus& corpus) {
  std::vector<std::string> titles;
  for (size_t i = 0; i < corpus.size(); ++i) titles.push_back(corpus.Title(i));
  return titles;
}

std::vector<std::string> TextsOf(const Corpus& corpus) {
  std::vector<std::string> texts;
  for (size_t i = 0; i < corpus.size(); ++i) texts.push_back(corpus.Text(i));
  return texts;
}

constexpr const char* kLines =
    "\xef\xbb\xbf{\"text\":\"one\\r\\ntwo\"}\r\n\n{\"meta\":{},\"text\":\"\\u00e9\\u0000\"}\n"
    "{\"text\":\"last\"}";

TEST(StreamedCorpus, ReadsLinesAsThePlainFileIsRead) {
  const TempFolder folder;
  WriteFile(folder / "a.jsonl", kLines);
  WriteFile(folder / "a.jsonl.gz", Packed(kLines, Packing::kGzip));
  WriteFile(folder / "a.jsonl.zst", Packed(kLines, Packing::kZstd));
  for (const char* name : {"a.jsonl", "a.jsonl.gz", "a.jsonl.zst"}) {
    const auto corpus = OpenCorpus({folder / name});
    EXPECT_THAT(TitlesOf(*corpus), ElementsAre("a:1", "a:3", "a:4")) << name;
    EXPECT_THAT(TextsOf(*corpus), ElementsAre("one\ntwo", std::string("\xc3\xa9\0", 3), "last"))
        << name;
  }
  const auto corpus = OpenCorpus({folder / "a.jsonl.gz"});
  EXPECT_EQ(corpus->Bytes(0), 7);
  EXPECT_EQ(corpus->Digest(0), Sha256Hex("one\ntwo"));
}

TEST(StreamedCorpus, ReadsTheTextsOfATar) {
  const TempFolder folder;
  const std::vector<testing::TarEntry> entries = {{"books/", "", 'd'},
                                                  {"books/b.epub.txt", "bee\r\n"},
                                                  {"books/cover.jpg", "\xff\xd8"},
                                                  {"../../etc/a.txt", "\xef\xbb\xbfmarked"},
                                                  {"link.txt", "/etc/passwd", 'l'},
                                                  {"hard.txt", "books/b.epub.txt", 'h'},
                                                  {"hole.txt", "end", 's'},
                                                  {"more/b.epub.txt", ""},
                                                  {"b.epub (2).txt", "x"},
                                                  {"0/b.epub.txt", "y"},
                                                  {"bad\nname\x1b.txt", "z"}};
  for (const auto& [name, packing] :
       {std::pair("a.tar", Packing::kNone), std::pair("a.tar.gz", Packing::kGzip),
        std::pair("a.tgz", Packing::kGzip), std::pair("a.tar.zst", Packing::kZstd)}) {
    WriteFile(folder / name, PackedTar(entries, packing));
    const auto corpus = OpenCorpus({folder / name});
    EXPECT_THAT(TitlesOf(*corpus), ElementsAre("b.epub", "a", "b.epub (2)", "b.epub (2) (2)",
                                               "b.epub (3)", "bad?name?"))
        << name;
    EXPECT_THAT(TextsOf(*corpus), ElementsAre("bee\n", "\xef\xbb\xbfmarked", "", "x", "y", "z"))
        << name;
  }
  EXPECT_FALSE(fs::exists(folder / "books"));
}

TEST(StreamedCorpus, ReadsShardsInTheOrderOfTheirNames) {
  const TempFolder folder;
  const auto line = [](const char* text) { return std::string("{\"text\":\"") + text + "\"}\n"; };
  WriteFile(folder / "b_1.jsonl.gz", Packed(line("c") + line("d"), Packing::kGzip));
  WriteFile(folder / "b_0.jsonl.zst", Packed(line("b"), Packing::kZstd));
  WriteFile(folder / "a.jsonl", line("a"));
  WriteFile(folder / "README.md", "not a text");
  WriteFile(folder / "c.tar", PackedTar({{"a.txt", "e"}}, Packing::kNone));
  const auto corpus = OpenCorpus({folder.path()});
  EXPECT_THAT(TitlesOf(*corpus), ElementsAre("a:1", "b_0:1", "b_1:1", "b_1:2", "c/a"));
  EXPECT_EQ(corpus->Digest(3), Sha256Hex("d"));
  EXPECT_EQ(corpus->Bytes(4), 1);
  corpus->WillRead(std::vector<size_t>{3, 0, 2});
  EXPECT_EQ(corpus->Text(3) + corpus->Text(0) + corpus->Text(2), "dac");
  EXPECT_THAT(TextsOf(*corpus), ElementsAre("a", "b", "c", "d", "e"));
  WriteFile(folder / "a.jsonl.gz", Packed(line("a"), Packing::kGzip));
  EXPECT_THAT(RefusalOf([&] { OpenCorpus({folder.path()}); }),
              HasSubstr("two files are named 'a'"));
  fs::remove(folder / "a.jsonl.gz");
  WriteFile(folder / "z.txt", "a text");
  EXPECT_THAT(RefusalOf([&] { OpenCorpus({folder.path()}); }),
              HasSubstr("holds z.txt and a.jsonl; allowed"));
}

TEST(StreamedCorpus, TakesTheLinesInWhichTheFilterHolds) {
  const TempFolder folder;
  const std::string lines =
      "{\"text\":\"a\",\"meta\":{\"pile_set_name\":\"Books3\"}}\n"
      "{\"text\":\"b\",\"meta\":{\"pile_set_name\":\"PubMed Central\"}}\n"
      "{\"text\":\"c\",\"meta\":\"{\\\"pile_set_name\\\": \\\"Books3\\\"}\"}\n"
      "{\"text\":\"d\",\"meta\":\"no JSON\"}\n"
      "{\"text\":\"e\"}\n"
      "{\"text\":\"f\",\"meta\":{\"pile_set_name\":7}}\n"
      "{\"text\":\"g\",\"lang\":\"en\",\"meta\":{\"pile_set_name\":\"Books3\"}}\n";
  WriteFile(folder / "p.jsonl.zst", Packed(lines, Packing::kZstd));
  WriteFile(folder / "p.jsonl", lines);
  for (const char* name : {"p.jsonl", "p.jsonl.zst"}) {
    CorpusOptions options{folder / name};
    options.filter = {"meta.pile_set_name=Books3"};
    EXPECT_THAT(TitlesOf(*OpenCorpus(options)), ElementsAre("p:1", "p:3", "p:7")) << name;
    EXPECT_THAT(TextsOf(*OpenCorpus(options)), ElementsAre("a", "c", "g")) << name;
    options.filter.push_back("lang=en");
    EXPECT_THAT(TextsOf(*OpenCorpus(options)), ElementsAre("g")) << name;
    options.filter = {"meta.pile_set_name=Books"};
    EXPECT_THAT(RefusalOf([&] { OpenCorpus(options); }),
                HasSubstr("holds no text that data.filter takes"));
  }
}

// How often a corpus looked at the file from its beginning, as it tells those who wait.
TEST(StreamedCorpus, ReadsInAnyOrderWithAFewPasses) {
  const TempFolder folder;
  std::string lines;
  for (int i = 0; i < 100; ++i) {
    lines += "{\"text\":\"" + std::to_string(i) + std::string(98, 'x') + "\"}\n";
  }
  WriteFile(folder / "a.jsonl.gz", Packed(lines, Packing::kGzip));
  std::vector<size_t> order(100);
  std::iota(order.begin(), order.end(), size_t{0});
  std::ranges::shuffle(order, std::mt19937(7));
  for (int64_t ahead : {0, 350, 1'000'000}) {
    const StreamedCorpus corpus({folder / "a.jsonl.gz"}, ahead);
    for (bool told : {true, false}) {
      if (told) corpus.WillRead(order);
      for (size_t i : order) EXPECT_THAT(corpus.Text(i), StartsWith(std::to_string(i) + "x"));
    }
  }
}

TEST(StreamedCorpus, RefusesOnlyTheTextsThatAreAskedFor) {
  const TempFolder folder;
  WriteFile(folder / "a.jsonl.gz",
            Packed("{\"text\":\"fine\"}\n{\"body\":1}\n[]\n{\"text\":\"\xff\"}\n"
                   "{\"text\":\"\\ud800\"}\n{\"text\":\"also\"}\n",
                   Packing::kGzip));
  const auto lines = OpenCorpus({folder / "a.jsonl.gz"});
  ASSERT_EQ(lines->size(), 6u);
  lines->WillRead(std::vector<size_t>{0, 1, 2, 3, 4, 5});
  EXPECT_EQ(lines->Text(0), "fine");
  const std::string where = (folder / "a.jsonl.gz").string() + ":";
  EXPECT_THAT(RefusalOf([&] { lines->Text(1); }), StartsWith(where + "2: has no field 'text'"));
  EXPECT_THAT(RefusalOf([&] { lines->Text(2); }), StartsWith(where + "3: expected a JSON object"));
  EXPECT_THAT(RefusalOf([&] { lines->Text(3); }), StartsWith(where + "4: not valid JSON"));
  EXPECT_THAT(RefusalOf([&] { lines->Text(4); }), StartsWith(where + "5: not valid JSON"));
  EXPECT_EQ(lines->Text(5), "also");
  EXPECT_EQ(lines->Bytes(1), std::nullopt);

  WriteFile(folder / "a.tgz",
            PackedTar({{"d/latin.txt", "caf\xe9"}, {"ok.txt", "fine"}}, Packing::kGzip));
  const auto tar = OpenCorpus({folder / "a.tgz"});
  EXPECT_EQ(tar->Text(1), "fine");
  EXPECT_THAT(RefusalOf([&] { tar->Text(0); }),
              StartsWith((folder / "a.tgz").string() + ": d/latin.txt: byte 3 is not valid UTF-8"));
}

TEST(StreamedCorpus, RefusesDamagedFilesWhenTheyAreOpened) {
  const TempFolder folder;
  std::string text;
  for (unsigned i = 0; text.size() < 200'000; i = i * 5 + 1) text += std::to_string(i % 1009) + " ";
  const std::string lines = "{\"text\":\"" + text + "\"}\n{\"text\":\"b\"}\n";
  const std::vector<testing::TarEntry> entries = {{"a.txt", text}, {"b.txt", text}};
  const std::pair<const char*, std::string> files[] = {
      {"a.jsonl.gz", Packed(lines, Packing::kGzip)},
      {"a.jsonl.zst", Packed(lines, Packing::kZstd)},
      {"a.tar", PackedTar(entries, Packing::kNone)},
      {"a.tar.gz", PackedTar(entries, Packing::kGzip)},
      {"a.tar.zst", PackedTar(entries, Packing::kZstd)}};
  for (const auto& [name, whole] : files) {
    const fs::path file = folder / name;
    // Within the first text, and within the last.
    for (size_t length : {whole.size() / 4, whole.size() * 3 / 4}) {
      WriteFile(file, whole.substr(0, length));
      EXPECT_THAT(RefusalOf([&] { OpenCorpus({file}); }),
                  AllOf(StartsWith(file.string() + ": is"), HasSubstr("cut off")))
          << length;
    }
    WriteFile(file, "");
    RefusalOf([&] { OpenCorpus({file}); });
  }
  WriteFile(folder / "a.tar", PackedTar({}, Packing::kNone));
  EXPECT_THAT(RefusalOf([&] { OpenCorpus({folder / "a.tar"}); }), HasSubstr("holds no text"));
  WriteFile(folder / "a.tar", "these are no 512 bytes of a header of a tar");
  EXPECT_THAT(RefusalOf([&] { OpenCorpus({folder / "a.tar"}); }), HasSubstr("a.tar: is damaged"));
}

TEST(StreamedCorpus, RefusesZerosBeforeTheyGrow) {
  const TempFolder folder;
  const std::string zeros(8 << 20, '\0');
  WriteFile(folder / "a.jsonl.gz", Packed("{\"text\":\"a\"}\n" + zeros, Packing::kGzip));
  EXPECT_THAT(RefusalOf([&] { OpenCorpus({folder / "a.jsonl.gz"}); }),
              HasSubstr("a.jsonl.gz:2: holds a NUL"));
}

TEST(StreamedCorpus, RefusesATextThatChangedSinceItWasLookedThrough) {
  const TempFolder folder;
  const fs::path path = folder / "a.jsonl.gz";
  WriteFile(path, Packed("{\"text\":\"a\"}\n{\"text\":\"b\"}\n", Packing::kGzip));
  const auto corpus = OpenCorpus({path});
  WriteFile(path, Packed("{\"text\":\"a\"}\n{\"text\":\"c\"}\n", Packing::kGzip));
  EXPECT_THAT(RefusalOf([&] { corpus->Text(1); }),
              HasSubstr("a:2 is not what it was when the file was looked through"));
}

TEST(StreamedCorpus, StopsWhenItIsAsked) {
  const TempFolder folder;
  WriteFile(folder / "a.jsonl.gz", Packed("{\"text\":\"a\"}\n", Packing::kGzip));
  std::stop_source stop;
  CorpusOptions options{folder / "a.jsonl.gz"};
  options.listener.stop = stop.get_token();
  const auto corpus = OpenCorpus(options);
  stop.request_stop();
  EXPECT_THROW(corpus->Text(0), Stopped);
  EXPECT_THROW(OpenCorpus(options), Stopped);
}

}  // namespace
}  // namespace longrope
