#include "eval/external/worker_team.h"

#include <sys/eventfd.h>
#include <unistd.h>

#include <algorithm>
#include <cmath>
#include <csignal>
#include <thread>
#include <utility>

#include "eval/errors.h"
#include "eval/external/worker_round.h"

namespace longrope {
namespace {

using Seconds = std::chrono::duration<double>;

constexpr auto kTold = std::chrono::milliseconds(2000);  // to end when told
constexpr auto kAsked = std::chrono::milliseconds(800);  // to end by SIGTERM
constexpr auto kLook = std::chrono::milliseconds(5);
constexpr double kLongestWait = 60;  // seconds of one poll

// Makes a poll return when a stop is requested.
class Wake {
 public:
  explicit Wake(std::stop_token stop)
      : file_(::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)), callback_(std::move(stop), [this] {
          constexpr uint64_t kOne = 1;
          [[maybe_unused]] const ssize_t written = ::write(file_, &kOne, sizeof kOne);
        }) {}
  ~Wake() { ::close(file_); }
  Wake(const Wake&) = delete;
  Wake& operator=(const Wake&) = delete;
  int file() const { return file_; }

 private:
  int file_;
  std::stop_callback<std::function<void()>> callback_;
};

std::string Numbered(std::string word, int number) {
  constexpr std::string_view kPlace = "{worker}";
  for (size_t at = word.find(kPlace); at != std::string::npos; at = word.find(kPlace, at)) {
    word.replace(at, kPlace.size(), std::to_string(number));
  }
  return word;
}

std::string SecondsText(double seconds) {
  return seconds < 1 ? std::to_string(std::llround(seconds * 1000)) + " ms"
                     : std::to_string(std::llround(seconds)) + " s";
}

double SecondsLeft(std::chrono::steady_clock::time_point since, double limit) {
  return limit - Seconds(std::chrono::steady_clock::now() - since).count();
}

}  // namespace

WorkerTeam::WorkerTeam(WorkerOptions options, std::filesystem::path files,
                       std::function<void(const std::string&)> report)
    : options_(std::move(options)), files_(std::move(files)), report_(std::move(report)) {
  for (int i = 0; i < options_.workers; ++i) workers_.emplace_back().number = i;
}

WorkerTeam::~WorkerTeam() { Dismiss(); }

void WorkerTeam::Say(const Worker& worker, const std::string& text) const {
  report_("worker " + std::to_string(worker.number) + ": " + text);
}

void WorkerTeam::StartAll() {
  for (Worker& worker : workers_) {
    if (worker.phase != Phase::kAway) continue;
    std::vector<std::string> command;
    for (const std::string& word : options_.command) {
      command.push_back(Numbered(word, worker.number));
    }
    try {
      worker.process = std::make_unique<WorkerProcess>(command);
      worker.phase = Phase::kStarting;
      worker.began = worker.heard = Clock::now();
      worker.noticed = worker.informed = false;
      worker.last_log.clear();
    } catch (const InputError& error) {
      GiveUp(&worker, error.what());
    }
  }
  if (std::ranges::all_of(workers_, [](const Worker& w) { return w.phase == Phase::kGivenUp; })) {
    throw InputError("no worker is left to score with: " + last_trouble_);
  }
}

const WorkerHello* WorkerTeam::Greet(std::stop_token stop) {
  const Wake wake(stop);
  while (!hello_) {
    if (stop.stop_requested()) return nullptr;
    StartAll();
    Step(nullptr, wake.file());
  }
  return &*hello_;
}

void WorkerTeam::Share(std::vector<Document> documents) {
  documents_ = std::move(documents);
  for (std::string& line : start_lines_) line.clear();
  for (Worker& worker : workers_) worker.informed = false;
}

void WorkerTeam::Run(std::span<const Task> tasks, const Evaluator::Done& done,
                     std::stop_token stop) {
  WorkerRound round(tasks, done, next_task_);
  next_task_ += static_cast<int64_t>(tasks.size());
  const Wake wake(stop);
  // What a busy worker will say belongs to no later round.
  const auto dismiss_busy = [this](void*) {
    EndWorkers([](const Worker& worker) { return worker.phase == Phase::kBusy; });
  };
  const std::unique_ptr<WorkerTeam, decltype(dismiss_busy)> guard(this, dismiss_busy);
  while (!round.IsDone() && !stop.stop_requested()) {
    StartAll();
    Assign(&round);
    Step(&round, wake.file());
  }
}

void WorkerTeam::Assign(WorkerRound* round) {
  std::vector<int> able;
  for (const Worker& worker : workers_) {
    if (worker.phase != Phase::kGivenUp) able.push_back(worker.number);
  }
  for (Worker& worker : workers_) {
    if (worker.phase != Phase::kIdle) continue;
    if (const auto task = round->Take(worker.number, able)) Give(&worker, *task, round);
  }
}

void WorkerTeam::Give(Worker* worker, size_t task, WorkerRound* round) {
  const Task& given = round->At(task);
  const Document& document = documents_.at(static_cast<size_t>(given.document));
  if (!worker->informed) SendStart(worker);
  worker->task = round->NumberOf(task);
  worker->phase = Phase::kBusy;
  worker->began = worker->heard = Clock::now();
  worker->process->Send(LineOf(TaskMessage{
      worker->task, given.document, static_cast<int64_t>(document.tokens.size()), given.factors}));
}

void WorkerTeam::SendStart(Worker* worker) {
  std::string& line = start_lines_[worker->in_line ? 1 : 0];
  if (line.empty()) line = LineOf(files_.Share(documents_, worker->in_line));
  worker->process->Send(line);
  worker->informed = true;
}

double WorkerTeam::Patience(const Worker& worker, std::string* what) const {
  if (worker.phase == Phase::kStarting) {
    *what = "no hello for " + SecondsText(options_.start_timeout);
    return SecondsLeft(worker.began, options_.start_timeout);
  }
  if (worker.phase != Phase::kBusy) return INFINITY;
  const double silent = SecondsLeft(worker.heard, options_.silence_timeout);
  const double busy =
      options_.task_timeout > 0 ? SecondsLeft(worker.began, options_.task_timeout) : INFINITY;
  *what = busy < silent ? "no score for " + SecondsText(options_.task_timeout)
                        : "no sign of life for " + SecondsText(options_.silence_timeout);
  return std::min(silent, busy);
}

double WorkerTeam::UntilNotice(const Worker& worker) const {
  if (worker.phase != Phase::kStarting || worker.noticed) return INFINITY;
  return SecondsLeft(worker.began, options_.start_notice);
}

void WorkerTeam::Step(WorkerRound* round, int wake) {
  std::vector<pollfd> polls = {{wake, POLLIN, 0}};
  double wait = kLongestWait;
  for (const Worker& worker : workers_) {
    if (!worker.process) continue;
    worker.process->AddPolls(&polls);
    std::string what;
    wait = std::min({wait, Patience(worker, &what), UntilNotice(worker)});
  }
  ::poll(polls.data(), polls.size(), static_cast<int>(std::ceil(std::max(0.0, wait) * 1000)));
  for (Worker& worker : workers_) {
    if (worker.process) Listen(&worker, round);
    if (worker.process) Watch(&worker, round);
  }
}

void WorkerTeam::TakeLog(Worker* worker) {
  while (auto line = worker->process->NextLogLine()) {
    // A terminal's escapes are not for the log.
    std::ranges::replace_if(
        *line, [](unsigned char c) { return c < ' ' || c == 0x7f; }, ' ');
    if (line->find_first_not_of(" \t") == std::string::npos) continue;
    worker->last_log = *line;
    Say(*worker, *line);
  }
}

void WorkerTeam::Listen(Worker* worker, WorkerRound* round) {
  worker->process->Exchange();
  TakeLog(worker);
  while (worker->process) {
    const auto line = worker->process->NextLine();
    if (!line) break;
    std::optional<WorkerAnswer> answer;
    try {
      answer = Understand(worker, *line, round);
    } catch (const InputError& error) {
      // Before its hello it is not what it should be; starting it again would not help.
      if (worker->phase == Phase::kStarting) return GiveUp(worker, error.what());
      return Fail(worker, error.what(), round);
    }
    if (!answer) continue;
    worker->phase = Phase::kIdle;
    worker->failures = 0;
    round->Finish(round->IndexOf(answer->task), answer->score);
  }
  if (!worker->process) return;
  if (worker->process->overlong()) {
    Fail(worker, "a line of more than " + std::to_string(kMaxWorkerLine) + " bytes", round);
  } else if (worker->process->ended()) {
    const std::string end = worker->process->End();
    TakeLog(worker);
    Fail(worker,
         "it ended: " + end +
             (worker->last_log.empty() ? "" : "; it last wrote \"" + worker->last_log + "\""),
         round);
  }
}

void WorkerTeam::Watch(Worker* worker, WorkerRound* round) {
  std::string what;
  if (Patience(*worker, &what) <= 0) return Fail(worker, what, round);
  if (UntilNotice(*worker) > 0) return;
  worker->noticed = true;
  Say(*worker, "has not said hello yet; it is given " + SecondsText(options_.start_timeout) +
                   " from its start");
}

std::optional<WorkerAnswer> WorkerTeam::Understand(Worker* worker, const std::string& line,
                                                   WorkerRound* round) {
  worker->heard = Clock::now();
  const WorkerMessage message = ParseWorkerLine(line);
  if (const auto* hello = std::get_if<WorkerHello>(&message)) OnHello(worker, *hello);
  const auto* answer = std::get_if<WorkerAnswer>(&message);
  if (answer == nullptr) return std::nullopt;
  CheckAnswer(*worker, *answer, round);
  return *answer;
}

void WorkerTeam::OnHello(Worker* worker, const WorkerHello& hello) {
  if (worker->phase != Phase::kStarting) throw InputError("a second hello");
  if (!hello_) hello_ = hello;
  const std::pair<const char*, bool> differing[] = {
      {"fingerprint", hello.fingerprint != hello_->fingerprint},
      {"rope", hello.shape != hello_->shape || hello.given != hello_->given},
      {"vocab", hello.vocab != hello_->vocab}};
  for (const auto& [what, differs] : differing) {
    if (differs) throw InputError(std::string("its ") + what + " is not the first worker's");
  }
  worker->in_line = hello.inline_tokens;
  worker->phase = Phase::kIdle;
  Say(*worker, "is there: " + hello.worker);
}

void WorkerTeam::CheckAnswer(const Worker& worker, const WorkerAnswer& answer,
                             const WorkerRound* round) const {
  if (worker.phase != Phase::kBusy || round == nullptr || answer.task != worker.task) {
    throw InputError("an answer to task " + std::to_string(answer.task) + ", which it has not");
  }
  if (answer.status == WorkerAnswer::Status::kFailed) {
    throw InputError("it failed: " +
                     (answer.message.empty() ? "it does not say why" : answer.message));
  }
  const Task& task = round->At(round->IndexOf(answer.task));
  const int64_t asked = ScoredTokens(documents_[static_cast<size_t>(task.document)]);
  if (answer.score.tokens != asked) {
    throw InputError("a score of " + std::to_string(answer.score.tokens) + " tokens; asked were " +
                     std::to_string(asked));
  }
}

void WorkerTeam::End(Worker* worker, Phase phase, const std::string& why, const std::string& then) {
  worker->process.reset();
  worker->phase = phase;
  last_trouble_ = "worker " + std::to_string(worker->number) + ": " + why;
  report_(last_trouble_ + "; " + then);
}

void WorkerTeam::GiveUp(Worker* worker, const std::string& why) {
  End(worker, Phase::kGivenUp, why, "it gets no more tasks");
}

void WorkerTeam::Fail(Worker* worker, const std::string& why, WorkerRound* round) {
  const bool busy = worker->phase == Phase::kBusy;
  const int64_t number = worker->task;
  if (++worker->failures >= options_.failures) {
    GiveUp(worker, why);
  } else {
    End(worker, Phase::kAway, why, "it is started again");
  }
  if (!busy || round == nullptr) return;
  const size_t index = round->IndexOf(number);
  round->Return(index, worker->number);
  if (round->attempts(index) < options_.attempts) return;
  const Task& task = round->At(index);
  throw InputError(TaskText(task, documents_[static_cast<size_t>(task.document)].title) +
                   " failed " + std::to_string(options_.attempts) + " times, at last " +
                   last_trouble_);
}

void WorkerTeam::EndWorkers(const std::function<bool(const Worker&)>& which) {
  std::vector<Worker*> ending;
  for (Worker& worker : workers_) {
    if (worker.process && which(worker)) ending.push_back(&worker);
  }
  for (Worker* worker : ending) {
    worker->process->Send(LineOf(ShutdownMessage{}));
    worker->process->CloseInput();
  }
  const auto wait = [&](std::chrono::milliseconds time) {
    for (const auto end = Clock::now() + time; Clock::now() < end;) {
      bool all = true;
      for (Worker* worker : ending) {
        worker->process->Exchange();
        while (worker->process->NextLine()) {
        }
        TakeLog(worker);
        all = all && (worker->process->ended() || worker->process->overlong());
      }
      if (all) return;
      std::this_thread::sleep_for(kLook);
    }
  };
  wait(kTold);
  for (Worker* worker : ending) {
    if (!worker->process->ended()) worker->process->Signal(SIGTERM);
  }
  wait(kAsked);
  for (Worker* worker : ending) {
    worker->process.reset();
    worker->phase = Phase::kAway;
  }
}

void WorkerTeam::Dismiss() {
  EndWorkers([](const Worker&) { return true; });
}

}  // namespace longrope
