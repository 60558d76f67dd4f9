// Study files: methods x lengths x seeds on one model, each cell a job of one search stage.
#pragma once

#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

#include "search/job/job_options.h"

namespace longrope {

// One search of a study.
struct StudyCell {
  std::string method;
  int64_t length = 0;
  Job job;  // its seed is the cell's

  // Of its folder, and of what is said of it: method-length-seed.
  std::string Name() const;
};

struct Study {
  std::string name;
  std::string folder;                // absolute
  std::vector<std::string> methods;  // in the order of the file
  std::string reference;             // the method that others are compared with
  std::vector<int64_t> marks;        // evaluations at which the best so far is looked at
  double confidence = 0.95;          // of intervals
  int64_t resamples = 10000;         // of the bootstrap
  std::vector<StudyCell> cells;      // by length, then seed, then method
  std::string text;                  // the file, settings applied
};

// Throws InputError "file:line: key: what is wrong; allowed: ..."; what is wrong with a method's
// stage is told as of a job's stage.
Study ReadStudy(const std::filesystem::path& path, const std::vector<std::string>& settings);

}  // namespace longrope
