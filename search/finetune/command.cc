#include "search/finetune/command.h"

#include <fcntl.h>
#include <signal.h>
#include <sys/file.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <thread>

#include "eval/child_process.h"
#include "eval/errors.h"
#include "eval/storage/files.h"

namespace longrope {
namespace {

constexpr auto kPoll = std::chrono::milliseconds(100);

bool IsNameCharacter(char c) { return (c >= 'a' && c <= 'z') || c == '_'; }

// Calls found(begin, name) for every {name}; ${name} is the shell's.
template <class Found>
void ForPlaceholders(const std::string& command, const Found& found) {
  for (size_t open = command.find('{'); open != std::string::npos;
       open = command.find('{', open + 1)) {
    const size_t close = command.find('}', open);
    if (close == std::string::npos) return;
    const std::string name = command.substr(open + 1, close - open - 1);
    const bool shells = open > 0 && command[open - 1] == '$';
    if (!shells && !name.empty() && std::ranges::all_of(name, IsNameCharacter)) found(open, name);
  }
}

std::string Quoted(const std::string& value) {
  std::string text = "'";
  for (char c : value) text += c == '\'' ? "'\\''" : std::string(1, c);
  return text + "'";
}

// Lines of a file that grows, from an offset on.
class Tail {
 public:
  Tail(int file, off_t offset, const std::function<void(const std::string&)>& line)
      : file_(file), offset_(offset), line_(line) {}

  // Tells of every whole line that came since.
  void Read() {
    char bytes[4096];
    for (ssize_t got = 0; (got = ::pread(file_, bytes, sizeof bytes, offset_)) > 0;
         offset_ += got) {
      for (char c : std::string(bytes, static_cast<size_t>(got))) {
        if (c == '\n' || c == '\r') {
          Tell();
        } else {
          pending_ += c;
        }
      }
    }
  }
  // The last line may have no end.
  void Finish() {
    Read();
    Tell();
  }
  const std::string& last() const { return last_; }

 private:
  void Tell() {
    if (pending_.find_first_not_of(" \t") != std::string::npos) {
      last_ = pending_;
      line_(pending_);
    }
    pending_.clear();
  }

  int file_;
  off_t offset_;
  const std::function<void(const std::string&)>& line_;
  std::string pending_, last_;
};

// In the child: never returns.
[[noreturn]] void Become(const char* command, int log, pid_t parent) {
  ::setpgid(0, 0);
  DieWith(parent);  // the shell, and a command that takes its place
  const int nothing = ::open("/dev/null", O_RDONLY);
  ::dup2(nothing, 0);
  ::dup2(log, 1);
  ::dup2(log, 2);
  ::fcntl(log, F_DUPFD, 100);  // stays open in all that it starts, wherever they write to
  ::execl("/bin/sh", "sh", "-c", command, static_cast<char*>(nullptr));
  ::_exit(127);
}

}  // namespace

const std::vector<std::string>& CommandPlaceholders() {
  static const std::vector<std::string> names = {"model", "factors", "tokens", "text", "length",
                                                 "steps", "output",  "seed",   "leg",  "stage"};
  return names;
}

std::string UnknownPlaceholder(const std::string& command) {
  std::string unknown;
  ForPlaceholders(command, [&](size_t, const std::string& name) {
    const auto& known = CommandPlaceholders();
    if (unknown.empty() && std::ranges::find(known, name) == known.end()) unknown = name;
  });
  return unknown;
}

std::string FilledCommand(const std::string& command,
                          const std::map<std::string, std::string>& values) {
  std::string text;
  size_t copied = 0;
  ForPlaceholders(command, [&](size_t open, const std::string& name) {
    text += command.substr(copied, open - copied) + Quoted(values.at(name));
    copied = open + name.size() + 2;
  });
  return text + command.substr(copied);
}

CommandEnd RunCommand(const std::string& command, const std::filesystem::path& log,
                      const std::function<void(const std::string&)>& line, std::stop_token stop) {
  const int file = ::open(log.c_str(), O_RDWR | O_CREAT | O_APPEND | O_CLOEXEC, 0666);
  if (file < 0) ThrowFileError(log, "cannot be opened");
  // What the command starts inherits the lock with the open file: it holds as long as any of it
  // lives.
  if (::flock(file, LOCK_EX | LOCK_NB) != 0) {
    ::close(file);
    throw InputError(log.string() +
                     ": what an earlier process started still works here; end it, or wait");
  }
  const int reading = ::open(log.c_str(), O_RDONLY | O_CLOEXEC);
  const off_t kept = ::lseek(file, 0, SEEK_END);  // before the command writes
  const pid_t parent = ::getpid(), child = reading < 0 ? -1 : ::fork();
  if (child == 0) Become(command.c_str(), file, parent);
  if (child > 0) ::setpgid(child, child);  // in the child too: whoever comes first
  ::close(file);                           // the lock is theirs alone
  if (reading < 0) ThrowFileError(log, "cannot be opened");
  if (child < 0) {
    ::close(reading);
    ThrowFileError(log, "no process can be made");
  }
  Tail tail(reading, kept, line);
  CommandEnd end;
  int status = 0;
  pid_t ended = 0;
  while ((ended = ::waitpid(child, &status, WNOHANG)) == 0) {
    if (stop.stop_requested() && !end.stopped) end.stopped = ::kill(-child, SIGTERM) == 0;
    tail.Read();
    std::this_thread::sleep_for(kPoll);
  }
  // The signal ends a shell at once, while what it started may still save its state.
  while (end.stopped && ::flock(reading, LOCK_EX | LOCK_NB) != 0) {
    tail.Read();
    std::this_thread::sleep_for(kPoll);
  }
  tail.Finish();
  ::close(reading);
  if (ended < 0) ThrowFileError(log, "the command's end is unknown");
  end.last_line = tail.last();
  end.exit_code = WIFSIGNALED(status) ? 128 + WTERMSIG(status) : WEXITSTATUS(status);
  return end;
}

}  // namespace longrope
