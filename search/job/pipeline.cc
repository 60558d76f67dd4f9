#include "search/job/pipeline.h"

#include <algorithm>
#include <charconv>
#include <cmath>
#include <filesystem>
#include <sstream>

#include "eval/errors.h"
#include "eval/storage/digest.h"
#include "search/job/job_file.h"
#include "search/job/search_stage.h"

namespace longrope {
namespace {

constexpr int64_t kMaxTimes = int64_t{1} << 32;

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

// Writes what happens to the run's folder and tells the observer.
class RunListener final : public StageListener {
 public:
  struct Actions {
    std::function<void()> save_checkpoint, save_history;
    std::function<std::string()> find_bad_weight;
  };
  RunListener(const StagePlan& plan, RunFolder& folder, RunObserver& observer, Actions actions)
      : plan_(plan), folder_(folder), observer_(observer), actions_(std::move(actions)) {}

  void OnScore(const StageState& state, const Task& task, double seconds) override {
    actions_.save_checkpoint();
    std::ostringstream line;
    line << state.name << ',' << task.candidate << ',' << task.document << ',' << seconds << '\n';
    folder_.Append(kTimesFile, line.str());
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
  RunFolder& folder_;
  RunObserver& observer_;
  Actions actions_;
  int64_t best_ = kNoParent;
};

}  // namespace

Pipeline::Pipeline(const Job& job, RunFolder& folder, StageEvaluators& evaluators,
                   RunObserver& observer)
    : job_(job), folder_(folder), evaluators_(evaluators), observer_(observer) {}

RunEnd Pipeline::Run(std::stop_token stop) {
  try {
    LoadCheckpoint();
    // A job that the run refuses must not become its job: where there are scores, they are checked
    // against the model first.
    if (state_.stages.empty()) SaveJob();
    return RunStages(std::move(stop));
  } catch (const std::exception&) {
    if (!std::filesystem::exists(folder_.File(kCheckpointFile))) folder_.Abandon();
    throw;
  }
}

RunEnd Pipeline::RunStages(std::stop_token stop) {
  const RopeShape shape = evaluators_.Shape();
  const std::string where = folder_.File(kCheckpointFile).string();
  if (state_.stages.empty()) state_.shape = shape;
  if (state_.shape != shape) {
    throw InputError(where +
                     ": the run began with another head size, base or original length than "
                     "the model's");
  }
  for (const StageOptions& options : job_.stages) plans_.push_back(PlanStage(options, shape));
  if (AllDone(where)) {
    SaveResults();
    return RunEnd::kAlreadyDone;
  }
  for (size_t i = 0; i < plans_.size(); ++i) {
    if (!RunStage(i, stop)) return RunEnd::kStopped;
  }
  SaveResults();
  return RunEnd::kDone;
}

bool Pipeline::AllDone(const std::string& where) {
  bool done = true;
  for (size_t i = 0; i < plans_.size(); ++i) {
    if (i < state_.stages.size()) CheckCandidates(state_.stages[i], plans_[i], where);
    done = done && IsDoneAt(i);
  }
  return done;
}

bool Pipeline::IsDoneAt(size_t stage) {
  if (stage >= state_.stages.size()) return false;
  StageState& state = state_.stages[stage];
  auto end = EndOf(plans_[stage], Seed(), state, HoursOf(plans_[stage].options));
  if (!end) return false;
  const bool judged = end->population.SettledCount() > state.population.SettledCount();
  state = std::move(*end);
  if (judged) SaveCheckpoint();
  return true;
}

bool Pipeline::RunStage(size_t index, std::stop_token stop) {
  const StagePlan& plan = plans_[index];
  if (!plan.warning.empty()) observer_.OnWarning(plan.warning);
  Evaluator* evaluator = evaluators_.For(plan.options, stop);
  if (evaluator == nullptr) return false;
  // Of a finished stage too: its factors stand beside those of the stages to come.
  StageState& state = StateOf(index, evaluator->Fingerprint());
  if (IsDoneAt(index)) return true;
  // What an earlier end wrote is no result of the run that now goes on.
  for (const auto& [name, previous] :
       {std::pair{kFactorsFile, kPreviousFactorsFile}, std::pair{kTableFile, kPreviousTableFile}}) {
    if (std::filesystem::exists(folder_.File(name))) folder_.Rename(name, previous);
  }
  RunListener listener(plan, folder_, observer_,
                       {[this] { SaveCheckpoint(); }, [this] { SaveHistory(); },
                        [this] { return evaluators_.FindNonFiniteWeight(); }});
  SearchStage stage(plan, Seed(), *evaluator, &state, listener);
  try {
    return stage.Run(std::move(stop), HoursOf(plan.options)) != StageEnd::kStopped;
  } catch (const AllCandidatesFailed& failed) {
    const std::string weight = evaluators_.FindNonFiniteWeight();
    throw InputError(weight.empty() ? std::string(failed.what()) : weight);
  }
}

void Pipeline::LoadCheckpoint() {
  state_.identity = JobIdentity(job_);
  auto loaded = LoadNewestCheckpoint(
      folder_.path(), job_, [this](const std::string& warning) { observer_.OnWarning(warning); });
  if (!loaded) return;
  state_ = std::move(loaded->state);
  // The next checkpoint must not push out the whole one for the damaged one.
  if (loaded->newest_damaged) folder_.Rename(kCheckpointFile, kDamagedCheckpointFile);
}

StageState& Pipeline::StateOf(size_t stage, const FingerprintParts& fingerprint) {
  if (stage == state_.stages.size()) {
    state_.stages.emplace_back(job_.stages[stage]);
    state_.stages.back().fingerprint = fingerprint;
  }
  StageState& state = state_.stages[stage];
  CheckFingerprint(state.fingerprint, fingerprint, state.name,
                   folder_.File(kCheckpointFile).string());
  SaveJob();
  return state;
}

uint64_t Pipeline::Seed() const { return static_cast<uint64_t>(job_.seed); }

void Pipeline::SaveJob() const { folder_.Replace(kJobFile, JobText(job_)); }

void Pipeline::SaveCheckpoint() const { folder_.SaveCheckpoint(WriteCheckpoint(state_)); }

std::vector<StageView> Pipeline::Views() const {
  std::vector<StageView> views;
  for (size_t i = 0; i < state_.stages.size(); ++i) {
    views.push_back({plans_[i], state_.stages[i]});
  }
  return views;
}

void Pipeline::SaveHistory() const { folder_.Replace(kHistoryFile, HistoryCsv(Views())); }

void Pipeline::SaveResults() {
  const std::vector<StageView> views = Views();
  SaveHistory();
  folder_.Replace(kBestFile, BestJson(views.back()));
  table_ = ResultTable(views);
  folder_.Replace(kTableFile, TableCsv(table_));
  folder_.Replace(kFactorsFile, WriteFactorFile(WinningFactors(views, Sha256Hex(state_.identity))));
}

double Pipeline::HoursOf(const StageOptions& stage) const {
  if (!stage.max_hours || !std::filesystem::exists(folder_.File(kTimesFile))) return 0;
  std::istringstream lines(ReadFile(folder_.File(kTimesFile), kMaxTimes));
  double seconds = 0;
  for (std::string line; std::getline(lines, line);) {
    if (!line.starts_with(stage.name + ",")) continue;
    const char* begin = line.data() + line.rfind(',') + 1;
    double value = 0;  // stays 0 where a crash cut the line off
    std::from_chars(begin, line.data() + line.size(), value);
    seconds += value;
  }
  return seconds / 3600;
}

}  // namespace longrope
