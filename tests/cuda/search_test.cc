// A search as the quickstart's, much shortened, on the CUDA engine and on the reference.
#include <gtest/gtest.h>

#include <algorithm>
#include <sstream>

#include "kernels/cuda/cuda_engine.h"
#include "kernels/reference/reference_engine.h"
#include "search/job/job_file.h"
#include "search/job/model_stages.h"
#include "search/job/pipeline.h"
#include "tests/cuda/stand_in/stand_in.h"
#include "tests/support/compare.h"
#include "tests/support/temp_folder.h"

namespace longrope {
namespace {

using testing::CloseRelative;
using testing::SlurpFile;
using testing::SourcePath;
using testing::TempFolder;
using testing::WriteFile;

class Heard final : public RunObserver {
 public:
  void OnProgress(const Progress&) override {}
  void OnMessage(const std::string& text) override { messages.push_back(text); }
  void OnWarning(const std::string& text) override { ADD_FAILURE() << text; }
  std::vector<std::string> messages;
};

// Fields of the lines of a CSV that quotes nothing.
std::vector<std::vector<std::string>> Fields(const std::string& csv) {
  std::vector<std::vector<std::string>> lines;
  std::istringstream all(csv);
  for (std::string line; std::getline(all, line);) {
    std::istringstream fields(line);
    lines.emplace_back();
    for (std::string field; std::getline(fields, field, ',');) lines.back().push_back(field);
  }
  return lines;
}

struct SearchRun {
  std::vector<std::string> histories, messages;
};

// data/tiny, said to be trained on 64 tokens, to these lengths.
SearchRun SearchOn(std::vector<std::unique_ptr<Engine>> engines, const std::vector<int>& lengths) {
  const TempFolder folder;
  const std::string passage = SlurpFile(SourcePath("tests/golden/transformers/passage.txt"));
  std::filesystem::create_directories(folder / "texts");
  for (const char* book : {"a", "b"}) {
    WriteFile(folder / "texts" / (std::string(book) + ".txt"),
              passage.substr(book[0] == 'a' ? 0 : 900, 900));
  }
  std::string yaml = "model: {path: " + SourcePath("data/tiny").string() +
                     ", original_length: 64}\n" + "data: {path: " + (folder / "texts").string() +
                     "}\noutput: {folder: " + (folder / "run").string() + "}\nstages:\n";
  for (const int length : lengths) {
    yaml += "  - {name: to-" + std::to_string(length) +
            ", kind: search, length: " + std::to_string(length) +
            ", documents: 1, held_out: 0, population: 3, generations: 1, "
            "mutations: 2, crossovers: 1, parents: 2, seed_sweeps: 1}\n";
  }
  WriteFile(folder / "job.yaml", yaml);
  const Job job = ReadJob(folder / "job.yaml", {});
  Heard observer;
  ModelStages model(job, observer, folder / "keys.csv", std::move(engines));
  RunFolder run = RunFolder::Create(FileSystem::Real(), folder / "run");
  EXPECT_EQ(Pipeline(job, run, model, observer).Run({}), RunEnd::kDone);
  SearchRun result{{}, observer.messages};
  for (const int length : lengths) {
    result.histories.push_back(
        SlurpFile(folder / ("run/to-" + std::to_string(length) + "/history.csv")));
  }
  return result;
}

// On a machine of as many.
std::vector<std::unique_ptr<Engine>> CudaEngines(int devices) {
  stand_in::Options options;
  options.device_bytes.assign(static_cast<size_t>(devices), size_t{1} << 28);
  stand_in::Reset(options);
  std::vector<std::unique_ptr<Engine>> engines;
  for (int device = 0; device < devices; ++device) {
    engines.push_back(
        MakeCudaEngine({.device = device, .type = DType::kF32, .block_rows = 128, .threads = 1}));
  }
  return engines;
}

TEST(CudaSearch, HistoryIsThatOfTheReference) {
  std::vector<std::unique_ptr<Engine>> reference;
  reference.push_back(MakeReferenceEngine<float>({.threads = 1}));
  const auto expected = Fields(SearchOn(std::move(reference), {96}).histories[0]);
  // A pool of two, whose scores come in any order.
  const auto got = Fields(SearchOn(CudaEngines(2), {96}).histories[0]);
  ASSERT_EQ(got.size(), expected.size());
  ASSERT_GT(got.size(), 5u);
  int numbers = 0;
  for (size_t line = 0; line < got.size(); ++line) {
    ASSERT_EQ(got[line].size(), expected[line].size());
    for (size_t i = 0; i < got[line].size(); ++i) {
      const std::string& column = expected[0][i];
      if (line > 0 && (column == "perplexity" || column == "nats")) {
        EXPECT_TRUE(CloseRelative(std::stod(got[line][i]), std::stod(expected[line][i]), 1e-5));
        ++numbers;
      } else {
        EXPECT_EQ(got[line][i], expected[line][i]) << "line " << line << ", " << column;
      }
    }
  }
  EXPECT_GE(numbers, 12);
}

TEST(CudaSearch, ALostDeviceIsLeftOutOfTheStagesAfterIt) {
  const SearchRun expected = SearchOn(CudaEngines(1), {72, 80});
  auto engines = CudaEngines(2);
  stand_in::LoseDevice(0, 60);
  const SearchRun got = SearchOn(std::move(engines), {72, 80});
  EXPECT_EQ(got.histories, expected.histories);
  const auto said = [&](const std::string& part) {
    return std::ranges::count_if(got.messages, [&](const std::string& message) {
      return message.find(part) != std::string::npos;
    });
  };
  EXPECT_EQ(said("a device is lost, what it was to do goes to another: "), 1);
  EXPECT_EQ(said("stage to-72: engine cuda/f32/sm_90 on 2 devices"), 1);
  EXPECT_EQ(said("stage to-80: engine cuda/f32/sm_90,"), 1);
}

}  // namespace
}  // namespace longrope
