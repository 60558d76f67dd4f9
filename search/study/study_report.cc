#include "search/study/study_report.h"

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <set>
#include <string>

#include "eval/number_text.h"
#include "search/bootstrap.h"

namespace longrope {
namespace {

constexpr const char* kClosedForm = "closed form";

std::string Cell(double number) { return std::isfinite(number) ? NumberText(number) : ""; }

std::string CurveLine(const CellResult& result, const std::string& method, int64_t scores,
                      int64_t evaluations, double fitness, const Scores& held_out) {
  return std::to_string(result.length) + "," + std::to_string(result.seed) + "," + method + "," +
         std::to_string(scores) + "," + std::to_string(evaluations) + "," + Cell(fitness) + "," +
         Cell(HeldOutPerplexity(held_out)) + "\n";
}

// The search of the reference that `own` can be compared with: the same seed and the same held-out
// documents. nullptr if there is none.
const CellResult* Partner(const std::vector<const CellResult*>& reference, const CellResult& own) {
  for (const CellResult* other : reference) {
    if (other->seed == own.seed && other->held_out == own.held_out) return other;
  }
  return nullptr;
}

// What is compared of a search.
struct Outcome {
  double fitness = 0;
  const Scores* held_out = nullptr;
};
Outcome EndOf(const CellResult& result) { return {result.Last().fitness, &result.Last().held_out}; }
Outcome ClosedFormOf(const CellResult& result) {
  return {result.closed_fitness, &result.closed_held_out};
}
using OutcomeOf = Outcome (*)(const CellResult&);

std::vector<Score> Known(const Scores& scores) {
  std::vector<Score> known;
  for (const auto& score : scores) known.push_back(score.value_or(Score{INFINITY, 1}));
  return known;
}

void Compare(const Study& study, const std::vector<const CellResult*>& reference,
             const std::vector<const CellResult*>& own, OutcomeOf outcome, SummaryRow* row) {
  std::vector<PairedScores> pairs;
  for (const CellResult* result : own) {
    const CellResult* other = Partner(reference, *result);
    if (other == nullptr) continue;
    pairs.push_back({Known(*outcome(*result).held_out), Known(other->Last().held_out)});
  }
  if (pairs.empty()) return;
  Rng rng(0, "bootstrap", static_cast<uint32_t>(row->length), 0);
  const Difference found = BootstrapDifference(pairs, study.confidence, study.resamples, rng);
  row->compared = true;
  row->difference = found.percent;
  row->low = found.low;
  row->high = found.high;
}

SummaryRow RowOf(const std::vector<const CellResult*>& own, OutcomeOf outcome) {
  SummaryRow row;
  row.length = own.front()->length;
  row.seeds = own.size();
  for (const CellResult* result : own) {
    row.fitness += std::log(outcome(*result).fitness) / static_cast<double>(own.size());
    row.held_out +=
        std::log(HeldOutPerplexity(*outcome(*result).held_out)) / static_cast<double>(own.size());
  }
  row.fitness = std::exp(row.fitness);
  row.held_out = std::exp(row.held_out);
  return row;
}

// The point from which on a search stays at that held-out perplexity or below; nullptr if it ends
// above.
const CellPoint* ReachedAt(const CellResult& result, double wanted) {
  const CellPoint* reached = nullptr;
  for (const CellPoint& point : result.points) {
    if (!(HeldOutPerplexity(point.held_out) <= wanted)) {
      reached = nullptr;
    } else if (reached == nullptr) {
      reached = &point;
    }
  }
  return reached;
}

// The reference's last held-out perplexity; infinite where there is none to reach.
double WantedOf(const std::vector<const CellResult*>& reference, const CellResult& own) {
  const CellResult* other = Partner(reference, own);
  return other == nullptr ? INFINITY : HeldOutPerplexity(other->Last().held_out);
}

void CountReached(const std::vector<const CellResult*>& reference,
                  const std::vector<const CellResult*>& own, SummaryRow* row) {
  for (const CellResult* result : own) {
    const double wanted = WantedOf(reference, *result);
    const CellPoint* point = std::isfinite(wanted) ? ReachedAt(*result, wanted) : nullptr;
    if (point == nullptr) continue;
    ++row->reached;
    row->reached_scores = std::max(row->reached_scores, point->scores);
  }
}

// At no scores.
void CountClosedFormsReached(const std::vector<const CellResult*>& reference, SummaryRow* row) {
  for (const CellResult* result : reference) {
    const double wanted = WantedOf(reference, *result);
    row->reached += std::isfinite(wanted) && HeldOutPerplexity(result->closed_held_out) <= wanted;
  }
}

}  // namespace

std::string CurveCsv(const Study& study, const std::vector<CellResult>& results) {
  std::string text =
      "length,seed,method,scores,evaluations,fitness_perplexity,held_out_perplexity\n";
  for (const CellResult& result : results) {
    if (result.method == study.reference) {
      text += CurveLine(result, "closed form (" + result.closed_form + ")", 0, 0,
                        result.closed_fitness, result.closed_held_out);
    }
    for (const CellPoint& point : result.points) {
      text += CurveLine(result, result.method, point.scores, point.evaluations, point.fitness,
                        point.held_out);
    }
  }
  return text;
}

std::vector<SummaryRow> Summary(const Study& study, const std::vector<CellResult>& results) {
  std::set<int64_t> lengths;
  for (const CellResult& result : results) lengths.insert(result.length);
  std::vector<SummaryRow> rows;
  for (int64_t length : lengths) {
    const auto of = [&](const std::string& method) {
      std::vector<const CellResult*> own;
      for (const CellResult& result : results) {
        if (result.length == length && result.method == method) own.push_back(&result);
      }
      return own;
    };
    const auto reference = of(study.reference);
    if (!reference.empty()) {
      rows.push_back(RowOf(reference, ClosedFormOf));
      rows.back().method = kClosedForm;
      Compare(study, reference, reference, ClosedFormOf, &rows.back());
      CountClosedFormsReached(reference, &rows.back());
    }
    for (const std::string& method : study.methods) {
      const auto own = of(method);
      if (own.empty()) continue;
      SummaryRow& row = rows.emplace_back(RowOf(own, EndOf));
      row.method = method;
      for (const CellResult* result : own) {
        row.scores += static_cast<double>(result->Last().scores) / static_cast<double>(own.size());
      }
      if (method == study.reference) continue;
      Compare(study, reference, own, EndOf, &row);
      CountReached(reference, own, &row);
    }
  }
  return rows;
}

std::string SummaryCsv(const std::vector<SummaryRow>& rows) {
  std::string text =
      "length,method,seeds,scores,fitness_perplexity,held_out_perplexity,difference_percent,low,"
      "high,seeds_reached,scores_reached\n";
  for (const SummaryRow& row : rows) {
    text += std::to_string(row.length) + "," + row.method + "," + std::to_string(row.seeds) + "," +
            NumberText(row.scores) + "," + Cell(row.fitness) + "," + Cell(row.held_out) + ",";
    text += row.compared ? Cell(row.difference) + "," + Cell(row.low) + "," + Cell(row.high) : ",,";
    text += "," + std::to_string(row.reached) + "," +
            (row.reached > 0 ? std::to_string(row.reached_scores) : "") + "\n";
  }
  return text;
}

std::string SummaryText(const Study& study, const std::vector<SummaryRow>& rows) {
  char line[512];
  std::snprintf(line, sizeof line, "%8s %-16s %5s %8s %10s %10s  %-28s %s\n", "length", "method",
                "seeds", "scores", "fitness", "held-out",
                ("held-out to " + study.reference).c_str(), "reaches it");
  std::string text = line;
  for (const SummaryRow& row : rows) {
    char difference[64] = "", reached[64] = "";
    if (row.compared) {
      std::snprintf(difference, sizeof difference, "%+.2f %% [%+.2f, %+.2f]", row.difference,
                    row.low, row.high);
    }
    if (row.reached > 0) {
      std::snprintf(reached, sizeof reached, "%zu of %zu seeds, by %lld scores", row.reached,
                    row.seeds, static_cast<long long>(row.reached_scores));
    }
    std::snprintf(line, sizeof line, "%8lld %-16s %5zu %8.0f %10.4f %10.4f  %-28s %s\n",
                  static_cast<long long>(row.length), row.method.c_str(), row.seeds, row.scores,
                  row.fitness, row.held_out, difference, reached);
    text += line;
  }
  std::snprintf(line, sizeof line,
                "perplexities: geometric means over seeds. held-out to %s: below 0 is better; [ ]: "
                "%g %% of %lld paired\nresamples of seeds and documents: where it holds 0, no "
                "difference is shown; of few seeds it is too narrow.\nreaches it: seeds that came "
                "down to %s's last held-out perplexity at a mark, and stayed.\n",
                study.reference.c_str(), 100 * study.confidence,
                static_cast<long long>(study.resamples), study.reference.c_str());
  return text + line;
}

}  // namespace longrope
