#include "search/job/search_stage.h"

#include <algorithm>
#include <chrono>
#include <cmath>

#include "search/racing.h"

namespace longrope {
namespace {

double Seconds() {
  return std::chrono::duration<double>(std::chrono::steady_clock::now().time_since_epoch()).count();
}

// Tasks of baselines carry numbers below zero.
int64_t TaskOfBaseline(size_t index) { return -1 - static_cast<int64_t>(index); }
size_t BaselineOfTask(int64_t candidate) { return static_cast<size_t>(-1 - candidate); }

// Appends a task for every missing score of documents [begin, end).
void AddMissing(const Scores& scores, int begin, int end, int64_t number,
                const RopeFactors& factors, std::vector<Task>* tasks) {
  for (int document = begin; document < end; ++document) {
    if (!scores[static_cast<size_t>(document)]) tasks->push_back({number, document, factors});
  }
}

}  // namespace

SearchStage::SearchStage(const StagePlan& plan, uint64_t seed, Evaluator& evaluator,
                         StageState* state, StageListener& listener)
    : plan_(plan), seed_(seed), evaluator_(evaluator), state_(state), listener_(listener) {}

double SearchStage::Hours() const { return hours_before_ + (Seconds() - started_) / 3600; }

StageEnd SearchStage::Run(std::stop_token stop, double hours_before) {
  stop_ = std::move(stop);
  hours_before_ = hours_before;
  started_ = Seconds();
  const bool done = ScoreBaselines() && SearchGenerations() && ScoreWinner();
  return done ? StageEnd::kDone : StageEnd::kStopped;
}

bool SearchStage::ScoreBaselines() {
  if (state_->baselines.empty()) {
    state_->SetBaselines(StageBaselines(plan_, plan_.attention_factor));
  }
  if (!Score({}, true, 0, state_->population.fitness())) return false;
  const bool failed = std::ranges::none_of(state_->baselines, [&](const BaselineState& baseline) {
    return std::isfinite(*state_->Fitness(baseline));
  });
  if (failed) listener_.OnBaselinesFailed();
  return true;
}

bool SearchStage::Score(const std::vector<int64_t>& candidates, bool baselines, int begin,
                        int end) {
  std::vector<Task> tasks;
  for (size_t i = 0; baselines && i < state_->baselines.size(); ++i) {
    const BaselineState& baseline = state_->baselines[i];
    AddMissing(baseline.scores, begin, end, TaskOfBaseline(i), baseline.baseline.factors, &tasks);
  }
  for (int64_t id : candidates) {
    const Candidate& candidate = state_->population.candidates()[static_cast<size_t>(id)];
    AddMissing(candidate.scores, begin, end, id, plan_.space.Decode(candidate.genome), &tasks);
  }
  size_t scored = 0;
  double before = Seconds();
  const auto done = [&](const Task& task, const longrope::Score& score) {
    if (task.candidate < 0) {
      state_->baselines[BaselineOfTask(task.candidate)].scores[static_cast<size_t>(task.document)] =
          score;
    } else {
      state_->population.SetScore(task.candidate, task.document, score);
    }
    ++scored;
    const double now = Seconds();
    listener_.OnScore(*state_, task, now - before);
    before = now;
  };
  if (!tasks.empty()) evaluator_.Run(tasks, done, stop_);
  return scored == tasks.size();
}

bool SearchStage::EndEarly(int generation, const char* why) {
  listener_.OnEarlyEnd(*state_, generation, why);
  return true;
}

bool SearchStage::DrawGeneration(int generation) {
  const EvolutionOptions& options = plan_.options.evolution;
  const Evolution evolution(plan_.space, options, plan_.seeds, plan_.family, seed_, state_->name);
  if (evolution.Draw(generation, &state_->population) > 0) {
    listener_.OnDrawn(*state_, generation);
    return true;
  }
  // A warm start, and a first generation of seeds that it came upon, may hold nothing new.
  return generation <= options.warm_start.Generations() && generation > 0;
}

bool SearchStage::SearchGenerations() {
  const Population& population = state_->population;
  for (int generation = 0; generation <= plan_.options.evolution.LastGeneration(); ++generation) {
    const bool drawn =
        !population.candidates().empty() && population.candidates().back().generation >= generation;
    if (!drawn) {
      if (ScoresLeft() < population.fitness()) {
        return EndEarly(generation - 1, "max_evaluations is reached");
      }
      if (generation > 0 && plan_.options.max_hours && Hours() >= *plan_.options.max_hours) {
        return EndEarly(generation - 1, "its budget of hours is spent");
      }
      if (!DrawGeneration(generation)) {
        return EndEarly(generation - 1, "the space holds no further candidate");
      }
    }
    const int64_t before = state_->ScoreCount();
    if (!ScoreGeneration(generation)) return false;
    RefuseIfAllFailed();
    // An earlier process told of what it finished.
    if (!drawn || state_->ScoreCount() > before) listener_.OnGeneration(*state_, generation);
  }
  return true;
}

int64_t SearchStage::ScoresLeft() const {
  return plan_.ScoreBudget() - state_->population.SettledScores();
}

// Which candidates a budget reaches does not depend on how they are batched: the next one is
// reached if the budget allows a whole evaluation after what those before it took.
std::vector<int64_t> SearchStage::Affordable(int generation) const {
  const Population& population = state_->population;
  const auto count = static_cast<size_t>(std::max<int64_t>(ScoresLeft(), 0) / population.fitness());
  std::vector<int64_t> ids;
  for (const Candidate& candidate : population.candidates()) {
    if (candidate.generation != generation || population.Settled(candidate.id)) continue;
    if (ids.size() == count) break;
    ids.push_back(candidate.id);
  }
  return ids;
}

const Candidate* SearchStage::Rival(int generation) const {
  const int deciding = plan_.options.evolution.Deciding(generation);
  const auto ranked = state_->population.Ranked(generation);
  if (deciding == 0 || ranked.size() < static_cast<size_t>(deciding)) return nullptr;
  return &state_->population
              .candidates()[static_cast<size_t>(ranked[static_cast<size_t>(deciding) - 1])];
}

bool SearchStage::ScoreGeneration(int generation) {
  const Candidate* rival = Rival(generation);
  for (auto batch = Affordable(generation); !batch.empty(); batch = Affordable(generation)) {
    const bool done = rival == nullptr ? Score(batch, false, 0, state_->population.fitness())
                                       : RaceBatch(batch, *rival);
    if (!done) return false;
  }
  return true;
}

bool SearchStage::RaceBatch(const std::vector<int64_t>& batch, const Candidate& rival) {
  Population& population = state_->population;
  std::vector<int64_t> racing = batch;
  for (int met = 1; met <= population.fitness() && !racing.empty(); ++met) {
    if (!Score(racing, false, 0, met)) return false;
    const size_t before = racing.size();
    std::erase_if(racing, [&](int64_t id) {
      const Candidate& candidate = population.candidates()[static_cast<size_t>(id)];
      const StopReason reason = Race(candidate.scores, rival.scores, met, population.fitness(),
                                     {plan_.options.race_confidence});
      population.Stop(id, reason);
      return reason != StopReason::kNone;
    });
    if (racing.size() < before) listener_.OnStopped(*state_);
  }
  return true;
}

void SearchStage::RefuseIfAllFailed() const {
  const Candidate* winner = state_->Winner();
  if (winner != nullptr && std::isfinite(*state_->population.Fitness(winner->id))) return;
  throw AllCandidatesFailed("stage " + state_->name +
                            ": the loss of every candidate is NaN or infinite");
}

bool SearchStage::ScoreWinner() {
  const int fitness = state_->population.fitness();
  const int all = fitness + state_->population.held_out();
  const Candidate& winner = *state_->Winner();
  const double attention = plan_.space.Decode(winner.genome).attention_factor;
  state_->SetBaselines(StageBaselines(plan_, attention));
  return Score({winner.id}, true, 0, all);
}

}  // namespace longrope
