// Texts as they are published, and ids, through the whole program.
#include <csignal>

#include "tests/integration/program.h"
#include "tests/support/archive_writer.h"

namespace longrope {
namespace fs = std::filesystem;
namespace {

using testing::ExpectRefused;
using testing::FinalFiles;
using testing::Longrope;
using testing::Output;
using testing::Packed;
using testing::PackedTar;
using testing::Packing;
using testing::Process;
using testing::RunProcess;
using testing::TempFolder;
using testing::WriteFile;

// Some 20 kB that begin elsewhere for each number.
std::string TextOf(int number) {
  const std::string passage = testing::SlurpFile(testing::Passage());
  const std::string text =
      passage.substr(passage.find(' ', static_cast<size_t>(200 * (number % 20))));
  return "Text " + std::to_string(number) + "." + text + passage + text;
}

// As a line of a .jsonl file; `rest`: its other fields.
std::string Line(int number, const std::string& rest) {
  std::string line = "{\"text\": \"";
  for (char c : TextOf(number)) {
    if (c == '"' || c == '\\') line += '\\';
    if (c == '\n') {
      line += "\\n";
    } else {
      line += c;
    }
  }
  return line + "\"" + rest + "}\n";
}

// A small job on these texts.
std::string JobOn(const TempFolder& folder, const std::string& data,
                  const std::string& run = "run") {
  const fs::path job = folder / (run + ".yaml");
  WriteFile(job, "seed: 3\nmodel: {path: " + testing::Tiny() + "}\ndata: {" + data +
                     "}\noutput: {folder: " + (folder / run).string() +
                     "}\nstages:\n  - {name: a, kind: search, length: 320, documents: 2, "
                     "held_out: 1, population: 4, generations: 1, mutations: 2, crossovers: 1, "
                     "parents: 2}\n");
  return job.string();
}

// The lines of a dry run that name documents, in their order.
std::string DocumentsOf(const std::string& job) {
  const Output output = RunProcess(Longrope({"search", job, "--dry-run"}));
  EXPECT_EQ(output.code, 0) << output.err;
  std::string lines;
  std::istringstream all(output.out);
  for (std::string line; std::getline(all, line);) {
    if (line.find("fitness: '") != std::string::npos ||
        line.find("held-out: '") != std::string::npos)
      lines += line + "\n";
  }
  return lines;
}

void ExpectNames(const std::string& documents, const std::string& before,
                 const std::string& behind) {
  EXPECT_EQ(std::ranges::count(documents, '\n'), 3) << documents;
  std::istringstream all(documents);
  for (std::string line; std::getline(all, line);) {
    EXPECT_NE(line.find("'" + before), std::string::npos) << line;
    EXPECT_NE(line.find(behind + "', its first 320 tokens"), std::string::npos) << line;
  }
}

TEST(Corpora, Pg19AsInItsBucket) {
  const TempFolder folder;
  WriteFile(folder / "metadata.csv", "1022,A title,1862,http://www.gutenberg.org/ebooks/1022\n");
  fs::create_directory(folder / "validation");
  int number = 0;
  for (const char* id : {"1022", "11155", "13089"}) {
    WriteFile(folder / "validation" / (std::string(id) + ".txt"), TextOf(number++));
  }
  const std::string documents =
      DocumentsOf(JobOn(folder, "path: " + (folder / "validation").string()));
  for (const char* id : {"'1022'", "'11155'", "'13089'"}) {
    EXPECT_NE(documents.find(id), std::string::npos) << documents;
  }
}

TEST(Corpora, ProofPileAsOnHuggingFace) {
  const TempFolder folder;
  fs::create_directory(folder / "dev");
  WriteFile(folder / "dev/proofpile_dev.jsonl.gz",
            Packed(Line(0, R"(, "meta": {"config": "arxiv", "file": "a.tex"})") +
                       Line(1, R"(, "meta": {"config": "books"})") +
                       Line(2, R"(, "meta": {"config": "arxiv"})") +
                       Line(3, R"(, "meta": "{\"config\": \"arxiv\"}")"),
                   Packing::kGzip));
  const std::string path = "path: " + (folder / "dev").string();
  ExpectNames(DocumentsOf(JobOn(folder, path)), "proofpile_dev:", "");
  const std::string arxiv = DocumentsOf(JobOn(folder, path + ", filter: [meta.config=arxiv]"));
  ExpectNames(arxiv, "proofpile_dev:", "");
  EXPECT_EQ(arxiv.find("proofpile_dev:2"), std::string::npos) << arxiv;
  ExpectRefused(
      RunProcess(Longrope({"search", JobOn(folder, path + ", filter: [meta.config=wiki]")})),
      {"data.path", "holds no text that data.filter takes"});
}

TEST(Corpora, Books3AsATarAndAsPartOfThePile) {
  const TempFolder folder;
  std::vector<testing::TarEntry> books = {{"books3/the-eye.eu/0_Other/", "", 'd'}};
  std::string pile;
  for (int i = 0; i < 4; ++i) {
    books.push_back(
        {"books3/the-eye.eu/0_Other/Book " + std::to_string(i) + ".epub.txt", TextOf(i)});
    pile += Line(i, R"(, "meta": {"pile_set_name": "Books3"})") +
            R"({"text": "x", "meta": {"pile_set_name": "Pile-CC"}})" + "\n";
  }
  WriteFile(folder / "books3.tar.gz", PackedTar(books, Packing::kGzip));
  ExpectNames(DocumentsOf(JobOn(folder, "path: " + (folder / "books3.tar.gz").string())), "Book ",
              ".epub");
  fs::create_directory(folder / "train");
  WriteFile(folder / "train/00.jsonl.zst", Packed(pile, Packing::kZstd));
  ExpectNames(DocumentsOf(JobOn(folder, "path: " + (folder / "train").string() +
                                            ", filter: [meta.pile_set_name=Books3]")),
              "00:", "");
}

// The same texts, plain and packed, give the same search; what was tokenized is kept between runs,
// and nothing depends on it.
TEST(Corpora, HowTextsArePackedAndWhatIsKeptDoNotMatter) {
  const TempFolder folder;
  std::string lines;
  for (int i = 0; i < 4; ++i) lines += Line(i, "");
  WriteFile(folder / "t.jsonl", lines);
  WriteFile(folder / "t.jsonl.gz", Packed(lines, Packing::kGzip));
  const auto run = [&](const std::string& name, const std::string& data) {
    const Output output = RunProcess(Longrope({"search", JobOn(folder, data, name)}));
    EXPECT_EQ(output.code, 0) << output.err;
    auto files = FinalFiles(folder / name);
    return files;
  };
  const std::string plain = "path: " + (folder / "t.jsonl").string(),
                    packed = "path: " + (folder / "t.jsonl.gz").string();
  const auto first = run("plain", plain + ", cache: none");
  EXPECT_FALSE(fs::exists(folder / ".texts"));
  EXPECT_EQ(run("packed", packed), first);
  const auto kept = testing::Snapshot(folder / ".texts");
  EXPECT_GE(kept.size(), 3u);  // the index, and texts
  EXPECT_EQ(run("again", packed), first);
  EXPECT_EQ(run("plainly", plain), first);
  EXPECT_EQ(testing::Snapshot(folder / ".texts"), kept);
  for (const auto& [path, digest] : kept) WriteFile(path, "damaged");
  EXPECT_EQ(run("mended", packed), first);
  EXPECT_EQ(testing::Snapshot(folder / ".texts"), kept);
}

// A model without a tokenizer is searched on ids.
TEST(Corpora, IdsNeedNoTokenizer) {
  const TempFolder folder;
  fs::create_directory(folder / "model");
  for (const char* name : {"config.json", "model.safetensors"}) {
    fs::copy_file(fs::path(testing::Tiny()) / name, folder / "model" / name);
  }
  std::string ids;  // three books of 400 ids, a 0 behind each
  for (int i = 0; i < 1203; ++i) {
    const int id = i % 401 == 400 ? 0 : 1 + (i * i + 7 * i) % 4000;
    ids += static_cast<char>(id & 255);
    ids += static_cast<char>(id >> 8);
  }
  WriteFile(folder / "train.bin", ids);
  const auto job = [&](const std::string& data) {
    return Longrope({"search", JobOn(folder, "path: " + (folder / "train.bin").string() + data),
                     "--set", "model.path=" + (folder / "model").string()});
  };
  auto dry = job(", tokens: uint16, separator: 0");
  dry.push_back("--dry-run");
  const Output checked = RunProcess(dry);
  EXPECT_NE(checked.out.find("'train:3', its first 320 tokens"), std::string::npos) << checked.out;
  ExpectRefused(RunProcess(job(", tokens: uint32")), {"train.bin: has 2406 bytes"});
  ExpectRefused(RunProcess(job(", tokens: uint8")),
                {"data.tokens: 'uint8'; allowed: uint16, uint32"});
  ExpectRefused(RunProcess(job(", separator: 0")), {"data.separator", "with data.tokens"});
  ExpectRefused(RunProcess(job(", tokens: uint16, filter: [a=b]")), {"data.filter", "texts"});
  const Output searched = RunProcess(job(", tokens: uint16, separator: 0"));
  EXPECT_EQ(searched.code, 0) << searched.err;
  EXPECT_FALSE(fs::exists(folder / ".texts"));
}

TEST(Corpora, ASignalStopsLongTokenization) {
  const TempFolder folder;
  std::string lines;
  for (int i = 0; i < 400; ++i) lines += Line(i, "");
  WriteFile(folder / "t.jsonl.gz", Packed(lines, Packing::kGzip));
  const std::string job =
      JobOn(folder, "min_tokens: 20000, path: " + (folder / "t.jsonl.gz").string());
  std::string text = testing::SlurpFile(job);
  text.replace(text.find("length: 320"), 11, "length: 8000, window: random");
  WriteFile(job, text);
  const auto kept = [&] {
    std::error_code none;
    size_t files = 0;
    for (fs::directory_iterator it(folder / ".texts", none), end; it != end; it.increment(none)) {
      files += it->path().filename().string().starts_with("tokens-");
    }
    return files;
  };
  Process process(Longrope({"search", job}));
  ASSERT_TRUE(process.WaitFor([&] { return kept() >= 2; }));
  process.Signal(SIGTERM);
  const Output stopped = process.Wait();
  EXPECT_EQ(stopped.code, 75) << stopped.err;
  EXPECT_NE(stopped.err.find("longrope resume"), std::string::npos) << stopped.err;
}

TEST(Corpora, DamagedArchivesAreRefusedInALine) {
  const TempFolder folder;
  std::string lines;
  for (int i = 0; i < 4; ++i) lines += Line(i, "");
  const std::string whole = Packed(lines, Packing::kGzip);
  const std::string tar = PackedTar({{"a.txt", TextOf(0)}, {"b.txt", TextOf(1)}}, Packing::kZstd);
  const auto refused = [&](const char* name, const std::string& bytes,
                           const std::vector<std::string>& words) {
    WriteFile(folder / name, bytes);
    ExpectRefused(
        RunProcess(Longrope({"search", JobOn(folder, "path: " + (folder / name).string())})),
        words);
    EXPECT_FALSE(fs::exists(folder / "run")) << name;
  };
  refused("t.jsonl.gz", whole.substr(0, whole.size() / 2), {"t.jsonl.gz: is cut off"});
  refused("t.jsonl.gz", whole + "junk", {"t.jsonl.gz: is damaged"});
  refused("t.jsonl.gz", Packed("", Packing::kGzip), {"t.jsonl.gz: holds no text"});
  refused("t.jsonl.gz", Packed(lines + std::string(1 << 24, '\0'), Packing::kGzip),
          {"t.jsonl.gz:5: holds a NUL"});
  refused("t.tar.zst", tar.substr(0, tar.size() / 2), {"t.tar.zst: is damaged or cut off"});
  refused("t.tar", "no tar", {"t.tar: is damaged"});
  refused("t.zip", "PK", {"t.zip: allowed: a folder of .txt files"});
}

}  // namespace
}  // namespace longrope
