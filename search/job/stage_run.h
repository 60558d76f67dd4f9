// A stage of a run in its folder, whatever its kind.
#pragma once

#include <filesystem>
#include <stop_token>
#include <string>
#include <vector>

#include "search/factors/factor_file.h"
#include "search/job/folder.h"
#include "search/job/observer.h"
#include "search/job/results.h"
#include "search/job/search_stage.h"
#include "search/job/stage_evaluators.h"

namespace longrope {

class StageRun {
 public:
  virtual ~StageRun() = default;
  // Would Run do nothing more?
  virtual bool IsDone() = 0;
  // Before Run, and of a finished stage before others build on it: sees to it that the model and
  // the texts are those that it began with. False if stopped. Throws InputError.
  virtual bool Prepare(std::stop_token stop) = 0;
  // Runs what is left and writes the stage's results. Throws InputError and leaves a folder from
  // which it can go on.
  virtual StageEnd Run(std::stop_token stop) = 0;
  // What its searches found so far; valid as long as the stage.
  virtual std::vector<StageView> Views() const { return {}; }
  // For people, at the end of a run; "" where the table of searches says it all.
  virtual std::string Report() const { return ""; }
};

// What stages find of those before them, by name.
class StageSources {
 public:
  StageSources(const Job& job, const Folder& run) : job_(job), run_(run) {}

  const Job& job() const { return job_; }
  const Folder& run() const { return run_; }
  // Folder of the base model, or of what a finetune stage made.
  std::string ModelPath(const std::string& name) const;
  // The factor file of a stage that searches.
  FactorFile FactorsOf(const std::string& stage) const;
  // The command that runs a stage once more, in quotes.
  std::string ResumeFrom(const std::string& stage) const {
    return "\"longrope resume " + run_.path().string() + " --from " + stage + "\"";
  }
  // The stage of that name; it is there.
  const StageOptions& Stage(const std::string& name) const;

 private:
  const Job& job_;
  Folder run_;
};

// A line of times.csv: what was computed (its numbers), and the seconds it took.
std::string TimeLine(const std::string& stage, int64_t candidate, size_t document, double seconds);
// Seconds of all lines of a times.csv; what a crash cut off counts nothing.
double SecondsIn(const std::string& times);
inline constexpr int64_t kMaxTimesBytes = int64_t{1} << 32;

// Throws InputError, naming the keys, if the stage.yaml of a folder was written by a stage whose
// results would differ. `job` has the one stage.
void CheckStageFile(const Folder& folder, const Job& job);

// The searches of a stage: itself, or of kind `readjust` one for each of its lengths, named
// NAME-LENGTH.
std::vector<StageOptions> SearchesOf(const StageOptions& stage);

// The folder of a search in a run's.
Folder SearchFolder(const Folder& run, const StageOptions& stage, const StageOptions& search);

// What a stage will find its model to be once those before it are done, as far as plans need it:
// the factors are PI's, for want of those to be found. `base`: the job's own model.
StageModel ForeseenModel(const Job& job, const StageOptions& stage, const StageModel& base);

// Stages whose results it builds on directly.
std::vector<std::string> SourcesOf(const StageOptions& stage);

}  // namespace longrope
