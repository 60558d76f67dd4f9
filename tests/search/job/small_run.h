// A whole run of a job that takes milliseconds, on FakeStages.
#pragma once

#include <filesystem>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "search/job/pipeline.h"
#include "tests/search/fake_evaluator.h"

namespace longrope::testing {

// A folder of one test in memory, where the machine has such a place: thousands of files are made
// durable here. Removed with its content.
class ScratchFolder {
 public:
  ScratchFolder();
  ScratchFolder(const ScratchFolder&) = delete;
  ScratchFolder& operator=(const ScratchFolder&) = delete;
  ~ScratchFolder();
  std::filesystem::path operator/(std::string_view name) const { return path_ / name; }

 private:
  std::filesystem::path path_;
};

class KeepingObserver final : public RunObserver {
 public:
  std::vector<Progress> progress;
  std::vector<std::string> messages, warnings;

  void OnProgress(const Progress& now) override { progress.push_back(now); }
  void OnMessage(const std::string& text) override { messages.push_back(text); }
  void OnWarning(const std::string& text) override { warnings.push_back(text); }
};

// Six first candidates and three generations of four, two fitness documents and a held-out one:
// 18 evaluations, 67 scores with the ten baselines.
inline constexpr int64_t kSmallScores = 67;
Job SmallJob(const std::filesystem::path& folder);
// One of everything, three generations of two: 21 scores.
inline constexpr int64_t kTinyScores = 21;
Job TinyJob(const std::filesystem::path& folder);

struct SmallRun {
  explicit SmallRun(Job the_job) : job(std::move(the_job)) {}

  Job job;
  FakeStages stages;
  KeepingObserver observer;
  FileSystem* files = &FileSystem::Real();
  std::vector<TableRow> table;  // after the run ended

  RunEnd Start();
  RunEnd Resume();
  // Resume if a run is there, as a person would.
  RunEnd Continue();
  // Lets the evaluator report so many more scores.
  void StopAfter(int64_t scores) { stages.evaluator.stop_after = stages.evaluator.scores + scores; }
  // Of a file of the run, or of its first stage.
  std::filesystem::path Path(std::string_view name) const;

 private:
  RunEnd Run(RunFolder folder);
};

// The files that must be equal however a job was run, by their paths in its folder.
std::map<std::string, std::string> FinalFiles(const std::filesystem::path& folder);
// Of an undisturbed run of the job, elsewhere.
std::map<std::string, std::string> UndisturbedFiles(Job job);

}  // namespace longrope::testing
