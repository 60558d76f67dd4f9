// `study` and `sensitivity` as a user runs them.
#include <csignal>
#include <sstream>

#include "tests/integration/program.h"
#include "tests/support/compare.h"

namespace longrope {
namespace {
namespace fs = std::filesystem;

using testing::ExpectRefused;
using testing::Longrope;
using testing::Output;
using testing::Process;
using testing::RunProcess;
using testing::SlurpFile;
using testing::TempFolder;

// Two methods of some ten evaluations on two seeds, on the texts of SmallJob.
std::string SmallStudy(const TempFolder& folder) {
  testing::SmallJob(folder.path());
  testing::WriteFile(folder / "small.study.yaml",
                     "seeds: [1, 2]\nlengths: [320]\nmarks: [4]\nresamples: 200\nmodel: {path: " +
                         testing::Tiny() + "}\ndata: {path: " + (folder / "texts").string() +
                         "}\noutput: {folder: " + (folder / "out").string() +
                         "}\nstage: {documents: 2, held_out: 1, start_tokens: [0, 16]}\nmethods:\n"
                         "  - {name: paper, population: 4, generations: 1, mutations: 2, "
                         "crossovers: 2, parents: 3}\n"
                         "  - {name: warm, preset: frugal, warm_evaluations: 8, generations: 0}\n");
  return (folder / "small.study.yaml").string();
}

TEST(StudyCommand, RunsAndPrintsATable) {
  const TempFolder folder;
  const std::string study = SmallStudy(folder);
  const Output dry = RunProcess(Longrope({"study", study, "--dry-run"}));
  EXPECT_EQ(dry.code, 0) << dry.err;
  EXPECT_NE(dry.out.find("warm-320-2: 12 evaluations"), std::string::npos) << dry.out;
  EXPECT_NE(dry.out.find("4 searches"), std::string::npos) << dry.out;
  EXPECT_FALSE(fs::exists(folder / "out"));
  const Output output = RunProcess(Longrope({"study", study}));
  ASSERT_EQ(output.code, 0) << output.err;
  for (const char* part : {"closed form", "paper", "warm", "held-out to paper"}) {
    EXPECT_NE(output.out.find(part), std::string::npos) << output.out;
  }
  const std::string curve = SlurpFile(folder / "out/curve.csv");
  // A header, the closed form of each seed, one mark and one end of each search.
  EXPECT_EQ(std::ranges::count(curve, '\n'), 1 + 2 + 4 * 2) << curve;
  EXPECT_NE(RunProcess(Longrope({"show", folder / "out/cells/warm-320-1"})).out.find("finished"),
            std::string::npos);
}

TEST(StudyCommand, StopsOnASignalAndTheSameCommandGoesOn) {
  const TempFolder whole, folder;
  ASSERT_EQ(RunProcess(Longrope({"study", SmallStudy(whole)})).code, 0);
  const std::string study = SmallStudy(folder);
  Process process(Longrope({"study", study}));
  ASSERT_TRUE(process.WaitFor(
      [&] { return fs::exists(folder / "out/cells/warm-320-1/extend/best.json"); }));
  process.Signal(SIGTERM);
  const Output stopped = process.Wait();
  EXPECT_EQ(stopped.code, 75) << stopped.err;
  EXPECT_NE(stopped.err.find("the same command goes on"), std::string::npos) << stopped.err;
  Process killed(Longrope({"study", study}));
  killed.WaitFor([&] { return fs::exists(folder / "out/cells/paper-320-2/extend/best.json"); });
  killed.Signal(SIGKILL);
  killed.Wait();
  ASSERT_EQ(RunProcess(Longrope({"study", study})).code, 0);
  for (const char* file : {"out/curve.csv", "out/summary.csv"}) {
    EXPECT_EQ(SlurpFile(folder / file), SlurpFile(whole / file));
  }
}

TEST(StudyCommand, BadStudiesAreOneLine) {
  const TempFolder folder;
  const std::string study = SmallStudy(folder);
  ExpectRefused(RunProcess(Longrope({"study", study, "--set", "methods.warm.warm_batch=2"})),
                {"warm_batch", "allowed"});
  ExpectRefused(RunProcess(Longrope({"study", study, "--set", "lengths=[256]"})),
                {"length: 256", "original length"});
  ExpectRefused(RunProcess(Longrope({"study", (folder / "none.yaml").string()})), {"none.yaml"});
  EXPECT_FALSE(fs::exists(folder / "out/cells"));
}

std::vector<std::vector<std::string>> Rows(const std::string& csv) {
  std::vector<std::vector<std::string>> rows;
  std::istringstream lines(csv);
  for (std::string line; std::getline(lines, line);) {
    std::istringstream cells(line);
    rows.emplace_back();
    for (std::string cell; std::getline(cells, cell, ',');) rows.back().push_back(cell);
  }
  return rows;
}

std::vector<std::string> Sensitivity(const TempFolder& folder, std::vector<std::string> more) {
  std::vector<std::string> all = {
      "sensitivity", "--model",          testing::Tiny(), "--factors", (folder / "f.csv").string(),
      "--text",      testing::Passage(), "--length",      "512"};
  all.insert(all.end(), more.begin(), more.end());
  return Longrope(all);
}

std::string PerplexityOf(const TempFolder& folder, const std::string& factors) {
  testing::WriteFile(folder / "other.csv", factors);
  const Output output = RunProcess(
      Longrope({"eval", "--model", testing::Tiny(), "--factors", (folder / "other.csv").string(),
                "--text", testing::Passage(), "--lengths", "512", "--json"}));
  const size_t at = output.out.find("\"perplexity\":") + 13;
  return output.out.substr(at, output.out.find('}', at) - at);
}

TEST(SensitivityCommand, EachRowIsWhatEvalSaysOfThoseFactors) {
  const TempFolder folder;
  std::string sorted;
  for (int i = 0; i < 32; ++i) sorted += i < 16 ? "1\n" : "2\n";
  testing::WriteFile(folder / "f.csv", sorted);
  const Output output = RunProcess(Sensitivity(folder, {}));
  ASSERT_EQ(output.code, 0) << output.err;
  const auto rows = Rows(output.out);
  ASSERT_EQ(rows.size(), 2u + 32);
  EXPECT_EQ(rows[0], (std::vector<std::string>{"pair", "lambda", "at_1", "at_s"}));
  const double whole = std::stod(PerplexityOf(folder, sorted));
  EXPECT_TRUE(testing::CloseRelative(std::stod(rows[1][2]), whole, 1e-12));
  for (int i = 0; i < 32; ++i) {
    const auto& row = rows[static_cast<size_t>(i) + 2];
    EXPECT_EQ(row[1], i < 16 ? "1" : "2");
    // s is 2: one of the two columns changes nothing.
    EXPECT_EQ(row[i < 16 ? 2 : 3], rows[1][2]) << i;
    EXPECT_NE(row[i < 16 ? 3 : 2], rows[1][2]) << i;
  }
  // The last pair back to 1, as a file of its own. (A file need not be monotone to be read.)
  std::string changed = sorted;
  changed[changed.size() - 2] = '1';
  EXPECT_TRUE(testing::CloseRelative(std::stod(rows.back()[2]),
                                     std::stod(PerplexityOf(folder, changed)), 1e-12));
}

TEST(SensitivityCommand, StartTokensOfTheClosedFormsAndOfTheFactors) {
  const TempFolder folder;
  std::string pi;
  for (int i = 0; i < 32; ++i) pi += "2\n";
  testing::WriteFile(folder / "f.csv", pi);
  const Output output =
      RunProcess(Sensitivity(folder, {"--table", "start-tokens", "--start-tokens", "0,8,512"}));
  ASSERT_EQ(output.code, 0) << output.err;
  const auto rows = Rows(output.out);
  ASSERT_EQ(rows.size(), 4u);
  for (size_t i = 1; i < rows.size(); ++i) EXPECT_EQ(rows[i][1], rows[i][4]) << "both are PI";
  EXPECT_NE(rows[1][1], rows[2][1]);
  // With every position plain all lambda are the same.
  EXPECT_EQ(rows[3][1], rows[3][2]);
}

TEST(SensitivityCommand, RefusesWhatItCannotTell) {
  const TempFolder folder;
  testing::WriteFile(folder / "f.csv", std::string("1\n2\n"));
  ExpectRefused(RunProcess(Sensitivity(folder, {})), {"f.csv"});
  std::string plain;
  for (int i = 0; i < 32; ++i) plain += "1\n";
  testing::WriteFile(folder / "f.csv", plain);
  ExpectRefused(RunProcess(Sensitivity(folder, {"--table", "all"})), {"--table"});
}

}  // namespace
}  // namespace longrope
