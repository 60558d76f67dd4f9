// A stage of kind `search`: Algorithm 1 from the first baseline to the winner's last held-out
// score.
#pragma once

#include <cstdint>
#include <stop_token>

#include "eval/errors.h"
#include "eval/evaluator.h"
#include "search/job/stage_plan.h"
#include "search/job/stage_state.h"

namespace longrope {

// Told of everything that happens to a stage's state, after it happened. May throw: the stage ends.
class StageListener {
 public:
  virtual ~StageListener() = default;
  // `seconds`: since the score before, or since the evaluator began.
  virtual void OnScore(const StageState& state, const Task& task, double seconds) = 0;
  // Candidates of `generation` were drawn and wait for scores.
  virtual void OnDrawn(const StageState& state, int generation) = 0;
  // Racing stopped candidates.
  virtual void OnStopped(const StageState& state) = 0;
  // Every candidate of `generation` that the budget allows is settled.
  virtual void OnGeneration(const StageState& state, int generation) = 0;
  // The fitness of no baseline is finite: a reason to look at the weights before hours are spent.
  virtual void OnBaselinesFailed() = 0;
  // A budget in evaluations or hours, or the space, ended the search after `generation`.
  virtual void OnEarlyEnd(const StageState& state, int generation, const char* why) = 0;
};

// No candidate has a finite loss.
class AllCandidatesFailed : public InputError {
 public:
  using InputError::InputError;
};

enum class StageEnd {
  kDone,
  kStopped,
  kWaiting,  // for what the user must put in place
};

class SearchStage {
 public:
  // The evaluator's documents are the stage's fitness documents, then its held-out ones. `state` is
  // fresh or what a checkpoint held; everything given outlives the stage.
  SearchStage(const StagePlan& plan, uint64_t seed, Evaluator& evaluator, StageState* state,
              StageListener& listener);

  // Goes on from the state until done or stopped. `hours_before`: spent by earlier processes, for
  // the budget in hours. Throws AllCandidatesFailed if the fitness of every candidate is infinite
  // after a generation.
  StageEnd Run(std::stop_token stop, double hours_before = 0);

 private:
  bool ScoreBaselines();
  bool SearchGenerations();
  // Tells why the search ends after `generation`; true: the stage goes on to the winner.
  bool EndEarly(int generation, const char* why);
  bool DrawGeneration(int generation);
  // Settles the candidates of a generation, in order, as long as the budget allows a whole
  // evaluation. False if stopped.
  bool ScoreGeneration(int generation);
  // The next candidates that the budget allows whichever of them are stopped early.
  std::vector<int64_t> Affordable(int generation) const;
  // Document by document against a rival; false if stopped.
  bool RaceBatch(const std::vector<int64_t>& batch, const Candidate& rival);
  // The worst of those that decide about what follows; nullptr where there are too few to race.
  const Candidate* Rival(int generation) const;
  int64_t ScoresLeft() const;
  bool ScoreWinner();
  // Scores what is missing of documents [begin, end) of these candidates and, if asked, of all
  // baselines. False if stopped.
  bool Score(const std::vector<int64_t>& candidates, bool baselines, int begin, int end);
  void RefuseIfAllFailed() const;
  double Hours() const;

  const StagePlan& plan_;
  uint64_t seed_;
  Evaluator& evaluator_;
  StageState* state_;
  StageListener& listener_;
  std::stop_token stop_;
  double hours_before_ = 0, started_ = 0;
};

}  // namespace longrope
