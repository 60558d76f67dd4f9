// What a study shows: texts as functions of its results alone.
#pragma once

#include <string>
#include <vector>

#include "search/study/cell_result.h"
#include "search/study/study_file.h"

namespace longrope {

// The best so far by scores spent: a line for each mark of each search and one for its end; before
// those of the reference one for the best closed form (0 scores). Perplexities; what is not known
// is empty.
std::string CurveCsv(const Study& study, const std::vector<CellResult>& results);

// A method at a length, over its seeds, beside the study's reference and the best closed form.
struct SummaryRow {
  int64_t length = 0;
  std::string method;
  size_t seeds = 0;
  double scores = 0;                 // spent, mean over seeds
  double fitness = 0, held_out = 0;  // geometric means over seeds
  // Of held-out perplexity to the reference's, in percent, over the seeds that both have with the
  // same held-out documents; not compared where there are none.
  bool compared = false;
  double difference = 0, low = 0, high = 0;
  // Seeds on which it came down to the reference's last held-out perplexity at a mark or the end,
  // to stay, and the scores that the slowest of them had spent by then.
  size_t reached = 0;
  int64_t reached_scores = 0;
};

// Rows of each length: the best closed form, then the methods. A pure function: the bootstrap's
// random numbers are always the same.
std::vector<SummaryRow> Summary(const Study& study, const std::vector<CellResult>& results);
std::string SummaryCsv(const std::vector<SummaryRow>& rows);
// For people.
std::string SummaryText(const Study& study, const std::vector<SummaryRow>& rows);

}  // namespace longrope
