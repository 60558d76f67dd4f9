// What the tests of the whole program share.
#pragma once

#include <gtest/gtest.h>

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <map>
#include <string>
#include <vector>

#include "eval/storage/digest.h"
#include "tests/support/process.h"
#include "tests/support/temp_folder.h"

namespace longrope::testing {

// The program's command line with these arguments.
inline std::vector<std::string> Longrope(std::vector<std::string> arguments) {
  arguments.insert(arguments.begin(), LONGROPE_PROGRAM);
  return arguments;
}

inline std::string Tiny() { return SourcePath("data/tiny").string(); }
inline std::string Passage() {
  return SourcePath("tests/golden/transformers/passage.txt").string();
}
inline std::string Book(const std::string& name) {
  return SourcePath("data/books/" + name + ".txt").string();
}

// A search that takes seconds: data/tiny, 256 -> 320 tokens of two texts that are written to
// `folder`, and one more held out.
inline std::string SmallJob(const std::filesystem::path& folder) {
  const std::string text = SlurpFile(Passage());
  std::filesystem::create_directories(folder / "texts");
  for (int i = 0; i < 3; ++i) {
    WriteFile(folder / "texts" / (std::to_string(i) + ".txt"),
              text.substr(text.find('\n', static_cast<size_t>(2500 * i)) + 1, 3000));
  }
  const auto job = folder / "small.yaml";
  WriteFile(job, "seed: 5\nmodel: {path: " + Tiny() +
                     "}\ndata: {path: " + (folder / "texts").string() +
                     "}\noutput: {folder: " + (folder / "run").string() +
                     "}\nstages:\n  - {name: a, kind: search, length: 320, documents: 2, "
                     "held_out: 1, population: 6, generations: 2, mutations: 2, crossovers: 2, "
                     "parents: 4}\n");
  return job.string();
}

// Files by name, with a digest of their content: a difference is told in a line.
using Files = std::map<std::string, std::string>;

// The files of a run that must not differ between equal runs.
inline Files FinalFiles(const std::filesystem::path& run) {
  Files files;
  for (const char* name : {"a/history.csv", "a/checkpoint.h5", "a/factors.json", "a/best.json",
                           "factors.json", "table.csv"}) {
    files[name] = Sha256Hex(SlurpFile(run / name));
  }
  return files;
}

// Every file and folder below a folder.
inline Files Snapshot(const std::filesystem::path& folder) {
  Files files;
  for (const auto& entry : std::filesystem::recursive_directory_iterator(folder)) {
    files[entry.path().string()] =
        entry.is_regular_file() ? Sha256Hex(SlurpFile(entry.path())) : "";
  }
  return files;
}

// Exit code 2 and one line on stderr that holds every one of `parts`; nothing on stdout.
inline void ExpectRefused(const Output& output, const std::vector<std::string>& parts) {
  EXPECT_EQ(output.code, 2) << output.err;
  EXPECT_EQ(output.out, "");
  // Log lines may come before it; they carry the time.
  const size_t at = output.err.starts_with("longrope: ") ? 0 : output.err.find("\nlongrope: ") + 1;
  const std::string line = output.err.substr(at);
  EXPECT_EQ(std::ranges::count(line, '\n'), 1) << output.err;
  EXPECT_TRUE(line.starts_with("longrope: ")) << output.err;
  for (const std::string& part : parts) {
    EXPECT_NE(line.find(part), std::string::npos) << "no '" << part << "' in " << output.err;
  }
}

}  // namespace longrope::testing
