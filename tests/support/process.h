// The program as a user starts it: another process, its output, its exit code.
#pragma once

#include <sys/resource.h>
#include <sys/types.h>

#include <cstdint>
#include <filesystem>
#include <functional>
#include <string>
#include <vector>

namespace longrope::testing {

struct ProcessOptions {
  std::filesystem::path folder = {};          // current folder; empty: the test's own
  std::vector<std::string> environment = {};  // "NAME=value", over the test's own
  std::filesystem::path out = {};             // stdout goes to this file, as "/dev/full"
  int terminal_columns = 0;                   // > 0: stderr is a terminal of that width
};

struct Output {
  int code = -1;    // exit code
  int signal = 0;   // that ended it, 0: none
  std::string out;  // stdout
  std::string err;  // stderr
  double processor_seconds = 0;
  int64_t peak_bytes = 0;  // of memory that was resident
};

// A running process; killed and reaped with its object.
class Process {
 public:
  // Throws std::runtime_error if it cannot be started.
  explicit Process(const std::vector<std::string>& command, const ProcessOptions& options = {});
  Process(const Process&) = delete;
  Process& operator=(const Process&) = delete;
  ~Process();

  void Signal(int signal) const;
  // Holds it still (SIGSTOP); returns when it is. Signal(SIGCONT) lets it go on.
  void Halt();
  // Waits until `condition` holds, looking every few milliseconds; false if the process ended
  // first.
  bool WaitFor(const std::function<bool()>& condition);
  // Waits for its end. Call once.
  Output Wait();

 private:
  bool HasEnded();

  pid_t child_ = -1;
  int out_ = -1, err_ = -1;  // read ends; -1: not ours
  bool reaped_ = false;
  int status_ = 0;
  rusage usage_ = {};
  std::string out_text_, err_text_;
  void Drain();
};

// Can a process be given a terminal here? Not in a chroot without /dev/pts.
bool HasTerminals();

// Runs to the end.
Output RunProcess(const std::vector<std::string>& command, const ProcessOptions& options = {});

}  // namespace longrope::testing
