#include "search/job/stage_state.h"

#include <algorithm>
#include <utility>

#include "eval/errors.h"

namespace longrope {
namespace {

int64_t CountOf(const Scores& scores) {
  return std::ranges::count_if(scores, [](const auto& score) { return score.has_value(); });
}

}  // namespace

const Candidate* StageState::Winner() const {
  const auto ranked = population.Ranked();
  return ranked.empty() ? nullptr : &population.candidates()[static_cast<size_t>(ranked.front())];
}

std::optional<double> StageState::Fitness(const BaselineState& baseline) const {
  return PerplexityOf(baseline.scores, 0, static_cast<size_t>(population.fitness()));
}

std::optional<double> StageState::HeldOut(const BaselineState& baseline) const {
  return PerplexityOf(baseline.scores, static_cast<size_t>(population.fitness()),
                      static_cast<size_t>(population.held_out()));
}

int64_t StageState::ScoreCount() const {
  int64_t count = 0;
  for (const Candidate& candidate : population.candidates()) count += CountOf(candidate.scores);
  for (const BaselineState& baseline : baselines) count += CountOf(baseline.scores);
  return count;
}

void StageState::SetBaselines(const std::vector<Baseline>& wanted) {
  std::vector<BaselineState> next;
  for (const Baseline& baseline : wanted) {
    const auto same = std::ranges::find_if(baselines, [&](const BaselineState& old) {
      return old.baseline.method == baseline.method && old.baseline.factors == baseline.factors;
    });
    const auto documents = static_cast<size_t>(population.fitness() + population.held_out());
    next.push_back({baseline, same == baselines.end() ? Scores(documents) : same->scores});
  }
  baselines = std::move(next);
}

void CheckFingerprint(const FingerprintParts& before, const FingerprintParts& now,
                      const std::string& stage, const std::string& where) {
  std::string differing;
  for (size_t i = 0; i < std::max(before.size(), now.size()); ++i) {
    if (i < before.size() && i < now.size() && before[i] == now[i]) continue;
    const auto& [name, value] = i < before.size() ? before[i] : now[i];
    differing += (differing.empty() ? "" : ", ") + name + " (was " + value.substr(0, 60) + ")";
  }
  std::ranges::replace_if(
      differing, [](unsigned char c) { return c < ' '; }, ' ');
  if (!differing.empty()) {
    throw InputError(where + ": stage " + stage + " began with another " + differing +
                     "; allowed: the same model, texts and engine");
  }
}

StageProgress ProgressOf(const StagePlan& plan, const StageState& state) {
  StageProgress progress;
  const int64_t spent = state.population.SettledScores(), budget = plan.ScoreBudget();
  progress.evaluations = state.population.SettledCount();
  progress.planned_evaluations =
      std::min(plan.ScheduledEvaluations(),
               progress.evaluations + (budget - spent) / plan.options.documents);
  progress.scores = state.ScoreCount();
  std::optional<double> attention;
  if (const Candidate* winner = state.Winner()) {
    attention = plan.space.Decode(winner->genome).attention_factor;
  }
  progress.planned_scores =
      plan.PlannedScores(attention) - budget + spent +
      (progress.planned_evaluations - progress.evaluations) * int64_t{plan.options.documents};
  return progress;
}

}  // namespace longrope
