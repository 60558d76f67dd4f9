// What an evaluation found, as texts: functions of the measurements alone.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "eval/text/document.h"
#include "search/bootstrap.h"
#include "search/job/job_options.h"

namespace longrope {

// One document, or one try of a passkey.
struct Measurement {
  Score score;
  bool right = false;  // of a passkey: every token of the answer was the likeliest
  double depth = 0;    // of a passkey: filler before the key, as a fraction
};

// A row at a length under a protocol.
struct EvaluationCell {
  std::string protocol, row, model;
  int64_t length = 0;
  int64_t start_tokens = -1;  // of protocol start-tokens: n-hat that is tried
  std::vector<Measurement> measured;
  RopeFactors factors;
};

// What stands beside the cells in the JSON.
struct EvaluationFacts {
  std::vector<Document> documents;
  std::vector<std::pair<std::string, std::string>> models;  // name, digest
  std::string engine;
};

// Every measurement, one a line.
std::string MeasurementsCsv(const std::vector<EvaluationCell>& cells,
                            const std::vector<Document>& documents);
// A line a cell: perplexity and its difference to the reference row with intervals, or accuracy.
std::string EvaluationCsv(const StageOptions& stage, const std::vector<EvaluationCell>& cells,
                          uint64_t seed);
std::string EvaluationJson(const StageOptions& stage, const std::vector<EvaluationCell>& cells,
                           const EvaluationFacts& facts, uint64_t seed);
// For people: tables for each protocol, a column for each length; differences to the reference row
// with their intervals, passkeys by depth.
std::string EvaluationText(const StageOptions& stage, const std::vector<EvaluationCell>& cells,
                           uint64_t seed);

}  // namespace longrope
