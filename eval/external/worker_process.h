// A worker's process: its command, its pipes, its lines.
#pragma once

#include <poll.h>
#include <sys/types.h>

#include <deque>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace longrope {

// No line of a worker is longer, in bytes.
inline constexpr size_t kMaxWorkerLine = 1 << 20;

// One end of a pipe that is read line by line, never waiting.
class LineReader {
 public:
  // kLog: for people. A progress bar's carriage returns end lines, too, and a line that is too long
  // is cut in two, so that reading never ends.
  enum class Kind { kProtocol, kLog };
  explicit LineReader(Kind kind) : kind_(kind) {}
  // Owns the file from here on.
  void Open(int file) { file_ = file; }
  void Close();
  int file() const { return file_; }  // -1 at the end
  // Reads what is there, at most about kMaxWorkerLine bytes.
  void Read();
  std::optional<std::string> Next();
  // A line is longer than kMaxWorkerLine: nothing is read any more.
  bool overlong() const { return overlong_; }

 private:
  void Add(std::string_view bytes);
  void EndLine();

  Kind kind_;
  int file_ = -1;
  bool overlong_ = false;
  std::string pending_;  // of a line whose end has not come
  std::deque<std::string> lines_;
};

// Not thread-safe. The process is the leader of a session and a group of its own, so that a
// terminal's Ctrl-C does not reach it; it dies with the thread that made it, and the whole group
// with this object.
class WorkerProcess {
 public:
  // Starts a command: a program, looked for in PATH, and its arguments; no shell. Throws InputError
  // if it cannot be started.
  explicit WorkerProcess(const std::vector<std::string>& command);
  WorkerProcess(const WorkerProcess&) = delete;
  WorkerProcess& operator=(const WorkerProcess&) = delete;
  ~WorkerProcess();

  // Queues text for its stdin.
  void Send(std::string_view text) { outgoing_ += text; }
  // Ends its stdin once all that was queued is written.
  void CloseInput() { closing_ = true; }
  // What poll(2) is to wait for before Exchange has something to do.
  void AddPolls(std::vector<pollfd>* polls) const;
  // Writes and reads as much as can be without waiting.
  void Exchange();
  // The next line of its stdout, and of its stderr, without the line feed.
  std::optional<std::string> NextLine() { return out_.Next(); }
  std::optional<std::string> NextLogLine() { return err_.Next(); }
  bool overlong() const { return out_.overlong(); }
  // Its stdout has ended: after the lines that are left, nothing comes any more.
  bool ended() const { return out_.file() < 0; }
  // To the whole group.
  void Signal(int signal) const;
  // Ends what is left of it, after a moment for an end of its own, and says how it ended: "exit
  // code 3", "signal 9 (Killed)". Once.
  std::string End();

 private:
  void Write();

  pid_t child_ = -1;  // -1 once it is reaped
  int in_ = -1;
  LineReader out_{LineReader::Kind::kProtocol}, err_{LineReader::Kind::kLog};
  std::string outgoing_;  // whole lines
  size_t written_ = 0;    // of it
  bool closing_ = false;
};

}  // namespace longrope
