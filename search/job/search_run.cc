#include "search/job/search_run.h"

#include <algorithm>
#include <charconv>
#include <cmath>
#include <sstream>
#include <utility>

#include "eval/errors.h"
#include "eval/storage/digest.h"
#include "search/job/job_file.h"

namespace longrope {
namespace {

// Scores nothing: what a stage asks it for is what is still to be done.
class NothingEvaluator final : public Evaluator {
 public:
  void Run(std::span<const Task>, const Done&, std::stop_token) override {}
  FingerprintParts Fingerprint() const override { return {}; }
};

class SilentListener final : public StageListener {
 public:
  void OnScore(const StageState&, const Task&, double) override {}
  void OnDrawn(const StageState&, int) override {}
  void OnStopped(const StageState&) override {}
  void OnGeneration(const StageState&, int) override {}
  void OnBaselinesFailed() override {}
  void OnEarlyEnd(const StageState&, int, const char*) override {}
};

// The state of a stage that would score nothing more, else nullopt. What was scored before a kill
// may not have been judged by races yet: the end may say more than `state`.
std::optional<StageState> EndOf(const StagePlan& plan, uint64_t seed, StageState state,
                                double hours) {
  NothingEvaluator evaluator;
  SilentListener listener;
  SearchStage stage(plan, seed, evaluator, &state, listener);
  try {
    if (stage.Run({}, hours) == StageEnd::kDone) return state;
  } catch (const AllCandidatesFailed&) {  // for the stage itself to say, with the weight to blame
  }
  return std::nullopt;
}

void CheckCandidates(const StageState& state, const StagePlan& plan, const std::string& where) {
  for (const Candidate& candidate : state.population.candidates()) {
    if (!plan.space.Contains(candidate.genome)) {
      throw InputError(where + ": candidate " + std::to_string(candidate.id) + " of stage " +
                       state.name + " is not in its search space (another model?)");
    }
  }
}

// Writes what happens to the folder and tells the observer.
class FolderListener final : public StageListener {
 public:
  struct Actions {
    std::function<void()> save_checkpoint, save_history;
    std::function<std::string()> find_bad_weight;
  };
  FolderListener(const StagePlan& plan, const Folder& folder, RunObserver& observer,
                 Actions actions)
      : plan_(plan), folder_(folder), observer_(observer), actions_(std::move(actions)) {}

  void OnScore(const StageState& state, const Task& task, double seconds) override {
    actions_.save_checkpoint();
    folder_.Append(kTimesFile, TimeLine(state.name, task.candidate,
                                        static_cast<size_t>(task.document), seconds));
    const Candidate* winner = state.Winner();
    const bool improved = winner != nullptr && winner->id != best_;
    if (improved) {
      best_ = winner->id;
      folder_.Replace(kBestFile, BestJson({plan_, state}));
    }
    observer_.OnProgress(ProgressAt(state, winner, task, seconds));
  }
  void OnDrawn(const StageState&, int) override { actions_.save_checkpoint(); }
  void OnStopped(const StageState&) override { actions_.save_checkpoint(); }
  void OnGeneration(const StageState& state, int generation) override {
    actions_.save_history();
    std::ostringstream text;
    text << "stage " << state.name << ": generation " << generation << " done, "
         << state.population.SettledCount() << " evaluations, best perplexity "
         << state.population.Fitness(state.Winner()->id).value_or(INFINITY);
    observer_.OnMessage(text.str());
  }
  void OnBaselinesFailed() override {
    const std::string weight = actions_.find_bad_weight();
    if (!weight.empty()) throw InputError(weight);
  }
  void OnEarlyEnd(const StageState& state, int generation, const char* why) override {
    observer_.OnMessage("stage " + state.name + ": ends after generation " +
                        std::to_string(generation) + ", " + why);
  }

 private:
  Progress ProgressAt(const StageState& state, const Candidate* winner, const Task& task,
                      double seconds) const {
    Progress progress;
    static_cast<StageProgress&>(progress) = ProgressOf(plan_, state);
    progress.stage = state.name;
    const auto& candidates = state.population.candidates();
    progress.phase = candidates.empty() ? Progress::Phase::kBaselines
                     : task.candidate < 0 || task.document >= state.population.fitness()
                         ? Progress::Phase::kHeldOut
                         : Progress::Phase::kSearch;
    if (winner != nullptr) progress.best = *state.population.Fitness(winner->id);
    progress.seconds = seconds;
    return progress;
  }

  const StagePlan& plan_;
  const Folder& folder_;
  RunObserver& observer_;
  Actions actions_;
  int64_t best_ = kNoParent;
};

}  // namespace

SearchRun::SearchRun(Job job, std::string path, const StageModel& model, const Folder& folder,
                     StageEvaluators& evaluators, RunObserver& observer)
    : job_(std::move(job)),
      path_(std::move(path)),
      folder_(folder),
      evaluators_(evaluators),
      observer_(observer),
      record_{JobIdentity(job_), model, StageState(Stage())},
      plan_(PlanStage(Stage(), model)) {
  LoadCheckpoint(model);
}

void SearchRun::LoadCheckpoint(const StageModel& model) {
  auto loaded = LoadNewestCheckpoint(
      folder_.path(), job_, [this](const std::string& warning) { observer_.OnWarning(warning); });
  if (!loaded) return;
  const std::string where = folder_.File(kCheckpointFile).string();
  record_ = std::move(loaded->record);
  if (record_.model.shape != model.shape) {
    throw InputError(where +
                     ": the run began with another head size, base or original length than the "
                     "model's");
  }
  if (record_.model != model) {
    throw InputError(where + ": stage " + Stage().name +
                     " began with other factors to build on; allowed: those it began with (or set "
                     "it aside with \"longrope resume RUN --from STAGE\")");
  }
  CheckCandidates(record_.state, plan_, where);
  // The next checkpoint must not push out the whole one for the damaged one.
  if (loaded->newest_damaged) folder_.Rename(kCheckpointFile, kDamagedCheckpointFile);
}

bool SearchRun::IsDone() {
  if (!HasBegun()) return false;
  auto end = EndOf(plan_, Seed(), record_.state, HoursBefore());
  if (!end) return false;
  const bool judged = end->population.SettledCount() > record_.state.population.SettledCount();
  record_.state = std::move(*end);
  if (judged) SaveCheckpoint();
  // A kill may have come between the last score and the results.
  if (judged || !folder_.Has(kFactorsFile)) SaveResults();
  return true;
}

bool SearchRun::Prepare(std::stop_token stop) {
  if (!plan_.warning.empty()) observer_.OnWarning(plan_.warning);
  evaluator_ = evaluators_.For(Stage(), path_, std::move(stop));
  if (evaluator_ == nullptr) return false;
  const FingerprintParts fingerprint = evaluator_->Fingerprint();
  if (!HasBegun()) record_.state.fingerprint = fingerprint;
  CheckFingerprint(record_.state.fingerprint, fingerprint, Stage().name,
                   folder_.File(kCheckpointFile).string());
  return true;
}

StageEnd SearchRun::Run(std::stop_token stop) {
  folder_.SetResultsAside();
  FolderListener listener(plan_, folder_, observer_,
                          {[this] { SaveCheckpoint(); }, [this] { SaveHistory(); },
                           [this] { return evaluators_.FindNonFiniteWeight(); }});
  SearchStage stage(plan_, Seed(), *evaluator_, &record_.state, listener);
  try {
    const StageEnd end = stage.Run(std::move(stop), HoursBefore());
    if (end == StageEnd::kDone) SaveResults();
    return end;
  } catch (const AllCandidatesFailed& failed) {
    const std::string weight = evaluators_.FindNonFiniteWeight();
    throw InputError(weight.empty() ? std::string(failed.what()) : weight);
  }
}

void SearchRun::SaveCheckpoint() const { folder_.SaveCheckpoint(WriteCheckpoint(record_)); }

void SearchRun::SaveHistory() const { folder_.Replace(kHistoryFile, HistoryCsv(Views())); }

std::string SearchRun::JobDigest() const { return Sha256Hex(record_.identity); }

void SearchRun::SaveResults() const {
  const std::vector<StageView> views = Views();
  SaveHistory();
  folder_.Replace(kBestFile, BestJson(views.front()));
  folder_.Replace(kTableFile, TableCsv(ResultTable(views)));
  folder_.Replace(kFactorsFile, WriteFactorFile(WinningFactors(views, JobDigest())));
}

double SearchRun::HoursBefore() const {
  if (!Stage().max_hours || !folder_.Has(kTimesFile)) return 0;
  return SecondsIn(ReadFile(folder_.File(kTimesFile), kMaxTimesBytes)) / 3600;
}

ReadjustRun::ReadjustRun(std::vector<std::unique_ptr<SearchRun>> searches, FactorFile extended,
                         const Folder& folder, const Job& job)
    : searches_(std::move(searches)),
      extended_(std::move(extended)),
      folder_(folder),
      identity_(JobIdentity(job)) {
  CheckStageFile(folder_, job);
}

bool ReadjustRun::IsDone() {
  bool done = true;
  for (const auto& search : searches_) done = search->IsDone() && done;
  return done && folder_.Has(kFactorsFile);
}

bool ReadjustRun::Prepare(std::stop_token stop) {
  return std::ranges::all_of(searches_, [&](const auto& search) {
    // One that has not begun is prepared when it is its turn: a model serves one search at a time.
    return !search->HasBegun() || search->Prepare(stop);
  });
}

StageEnd ReadjustRun::Run(std::stop_token stop) {
  folder_.SetResultsAside();
  folder_.Replace(kStageFile, identity_);
  for (const auto& search : searches_) {
    if (search->IsDone()) continue;
    if (!search->Prepare(stop)) return StageEnd::kStopped;
    const StageEnd end = search->Run(stop);
    if (end != StageEnd::kDone) return end;
  }
  std::vector<FactorFile> files = {extended_, WinningFactors(Views(), Sha256Hex(identity_))};
  folder_.Replace(kFactorsFile, WriteFactorFile(Merged(files)));
  return StageEnd::kDone;
}

std::vector<StageView> ReadjustRun::Views() const {
  std::vector<StageView> views;
  for (const auto& search : searches_) views.push_back(search->Views().front());
  return views;
}

}  // namespace longrope
