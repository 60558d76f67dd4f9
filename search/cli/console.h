// Log lines and the progress of a run, on stderr and in the run's log file.
#pragma once

#include <chrono>
#include <filesystem>
#include <memory>
#include <mutex>
#include <string>

#include "search/job/observer.h"

namespace spdlog {
class logger;
}

namespace longrope {

// A line with the time; a warning says so. For commands that are no runs.
void LogMessage(const std::string& text);
void LogWarning(const std::string& text);

// On a terminal a bar at the bottom, under the log lines; elsewhere a log line at most every ten
// seconds. Any thread.
class Console final : public RunObserver {
 public:
  // Log lines go to stderr.
  Console();
  ~Console() override;
  // From here on log lines are appended to `path` too. Throws InputError.
  void LogTo(const std::filesystem::path& path);
  // Removes the bar: what follows goes to stdout.
  void Finish();
  void OnProgress(const Progress& progress) override;
  void OnMessage(const std::string& text) override;
  void OnWarning(const std::string& text) override;

 private:
  using Clock = std::chrono::steady_clock;
  std::string Line(const Progress& progress) const;
  // The mutex is held.
  void ClearBar();

  std::mutex mutex_;  // of all that follows
  std::shared_ptr<spdlog::logger> logger_;
  bool terminal_;
  bool bar_shown_ = false;
  Clock::time_point began_ = Clock::now(), said_ = Clock::now();
  std::string stage_;          // whose scores are counted
  int64_t scores_before_ = 0;  // that were there when this process began the stage
};

}  // namespace longrope
