// What a run shows: texts of its result files, as functions of its state alone (no times, no
// paths), so that equal states give equal files.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "search/factors/factor_file.h"
#include "search/job/stage_plan.h"
#include "search/job/stage_state.h"

namespace longrope {

// A stage with what is known of it.
struct StageView {
  const StagePlan& plan;
  const StageState& state;
};

// Every candidate of every stage that was evaluated or stopped, one a line.
std::string HistoryCsv(const std::vector<StageView>& stages);

struct TableRow {
  std::string stage;
  std::string method;  // a baseline's, or "searched"
  double attention_factor = 1;
  int64_t start_tokens = 0;
  std::optional<double> fitness, held_out;  // perplexities
};

// Baselines, then the winner, of every stage.
std::vector<TableRow> ResultTable(const std::vector<StageView>& stages);
std::string TableCsv(const std::vector<TableRow>& rows);
// For people: columns lined up, the best of each column marked.
std::string TableText(const std::vector<TableRow>& rows);
// One line a stage: does the winner beat the better of every baseline's two rows, on both kinds of
// documents?
std::string Verdict(const std::vector<TableRow>& rows);

// A line an operator (an Origin): candidates it made, and survivors among them: those that stood
// among the best `parents` when their generation was done; then how many racing stopped, why, and
// the scores it saved. Only settled candidates count.
std::string OperatorText(const StageView& stage);

// The best candidate so far of a stage; there is one.
std::string BestJson(const StageView& stage);

// Winners of all stages, by length; of equal lengths the later stage's.
FactorFile WinningFactors(const std::vector<StageView>& stages, const std::string& job_digest);

}  // namespace longrope
