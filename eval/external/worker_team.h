// Worker processes that score documents: started, fed, watched, started again.
#pragma once

#include <chrono>
#include <filesystem>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <stop_token>
#include <string>
#include <vector>

#include "eval/evaluator.h"
#include "eval/external/protocol.h"
#include "eval/external/shared_files.h"
#include "eval/external/worker_process.h"

namespace longrope {

class WorkerRound;

struct WorkerOptions {
  std::vector<std::string> command;  // {worker} in a word: the worker's number, from 0
  int workers = 1;
  double start_timeout = 900;   // seconds from the start to its hello
  double start_notice = 30;     // seconds after which a hello that has not come is spoken of
  double silence_timeout = 60;  // seconds without a line of a worker that has a task
  double task_timeout = 0;      // seconds that a task may take; 0: any
  int attempts = 3;             // of a task, whoever makes them
  int failures = 3;             // of a worker, one after the other, before it is given up
};

// A task whose worker hangs, dies or says what cannot be goes to another worker, or to the same one
// started anew; the worker is killed. One that fails again and again, speaks another protocol, or
// has another fingerprint or rotation than the first that said hello, gets no more tasks.
class WorkerTeam {
 public:
  // Nothing is started yet. `files`: a folder for token files, which this object removes.
  // report(line): what happens to workers, and every line of their stderr, "worker 0: ..."; from
  // the thread that calls Greet or Run.
  WorkerTeam(WorkerOptions options, std::filesystem::path files,
             std::function<void(const std::string&)> report);
  // As Dismiss.
  ~WorkerTeam();

  // What the first worker says; starts all of them where none is. nullptr if stopped. Throws
  // InputError if none is left.
  const WorkerHello* Greet(std::stop_token stop);
  // The documents that tasks name from here on.
  void Share(std::vector<Document> documents);
  // As Evaluator::Run. Throws InputError if no worker is left, or if a task has failed too often,
  // and FileError if token files cannot be written; workers that are busy when it ends in that way,
  // or by a stop, are dismissed.
  void Run(std::span<const Task> tasks, const Evaluator::Done& done, std::stop_token stop);
  // Tells all workers to end, and ends them with all that they started: within three seconds.
  void Dismiss();

 private:
  using Clock = std::chrono::steady_clock;
  enum class Phase { kAway, kStarting, kIdle, kBusy, kGivenUp };
  struct Worker {
    int number = 0;
    Phase phase = Phase::kAway;
    std::unique_ptr<WorkerProcess> process;
    Clock::time_point began, heard;  // the phase; the last line
    bool noticed = false;            // was its late hello spoken of?
    bool in_line = false;            // its hello's `inline`
    bool informed = false;           // does it know the documents?
    int64_t task = 0;                // number of the one it has
    int failures = 0;                // since its last score
    std::string last_log;
  };

  void StartAll();
  // Waits for something to happen, or for a time-out, and handles it.
  void Step(WorkerRound* round, int wake);
  void Listen(Worker* worker, WorkerRound* round);
  void Watch(Worker* worker, WorkerRound* round);
  // An answer, if it is one. Throws InputError for a line that cannot be.
  std::optional<WorkerAnswer> Understand(Worker* worker, const std::string& line,
                                         WorkerRound* round);
  void OnHello(Worker* worker, const WorkerHello& hello);
  void CheckAnswer(const Worker& worker, const WorkerAnswer& answer,
                   const WorkerRound* round) const;
  void SendStart(Worker* worker);
  void Assign(WorkerRound* round);
  void Give(Worker* worker, size_t task, WorkerRound* round);
  // Its process ends and its task waits again; it may be started anew.
  void Fail(Worker* worker, const std::string& why, WorkerRound* round);
  void GiveUp(Worker* worker, const std::string& why);
  // Ends its process, and says why and what comes then.
  void End(Worker* worker, Phase phase, const std::string& why, const std::string& then);
  void TakeLog(Worker* worker);
  // Seconds from now on; infinite where nothing is waited for.
  double Patience(const Worker& worker, std::string* what) const;
  double UntilNotice(const Worker& worker) const;
  void EndWorkers(const std::function<bool(const Worker&)>& which);
  void Say(const Worker& worker, const std::string& text) const;

  WorkerOptions options_;
  SharedFiles files_;
  std::function<void(const std::string&)> report_;
  std::vector<Worker> workers_;
  std::optional<WorkerHello> hello_;
  std::vector<Document> documents_;
  std::string start_lines_[2];  // by file and in line; "" until a worker needs it
  int64_t next_task_ = 0;       // numbers are never used again
  std::string last_trouble_;
};

}  // namespace longrope
