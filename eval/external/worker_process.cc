#include "eval/external/worker_process.h"

#include <fcntl.h>
#include <pthread.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <chrono>
#include <csignal>
#include <cstring>
#include <thread>

#include "eval/child_process.h"
#include "eval/errors.h"

namespace longrope {
namespace {

constexpr auto kLook = std::chrono::milliseconds(5);
constexpr size_t kMaxLogLine = 4096;
constexpr int kLooks = 40;  // for an end of its own

struct Pipe {
  int read = -1, write = -1;

  Pipe() {
    int ends[2];
    if (::pipe2(ends, O_CLOEXEC) != 0) {
      throw InputError(std::string("no pipe for a worker: ") + std::strerror(errno));
    }
    read = ends[0];
    write = ends[1];
  }
  ~Pipe() {
    for (int end : {read, write}) {
      if (end >= 0) ::close(end);
    }
  }
  Pipe(const Pipe&) = delete;
  Pipe& operator=(const Pipe&) = delete;
  // The end is another's to close.
  int Take(int* end) {
    const int file = *end;
    *end = -1;
    ::fcntl(file, F_SETFL, O_NONBLOCK);
    return file;
  }
};

struct Pipes {
  Pipe in, out, err, failure;
};

// In the child, between fork and exec: only calls that are safe there. Never returns.
[[noreturn]] void Become(char* const* command, const Pipes& pipes, pid_t parent) {
  ::setsid();
  DieWith(parent);
  ::dup2(pipes.in.read, STDIN_FILENO);
  ::dup2(pipes.out.write, STDOUT_FILENO);
  ::dup2(pipes.err.write, STDERR_FILENO);
  ::execvp(command[0], command);
  const int error = errno;
  // The parent reads it, or the end of a pipe that exec closed.
  if (::write(pipes.failure.write, &error, sizeof error) < 0) ::_exit(126);
  ::_exit(127);
}

// write(2) without the signal of a pipe that nobody reads.
ssize_t WriteQuietly(int file, std::string_view text) {
  sigset_t pipe, before;
  sigemptyset(&pipe);
  sigaddset(&pipe, SIGPIPE);
  ::pthread_sigmask(SIG_BLOCK, &pipe, &before);
  const ssize_t written = ::write(file, text.data(), text.size());
  const int error = errno;
  if (written < 0 && error == EPIPE && sigismember(&before, SIGPIPE) == 0) {
    constexpr timespec kNow{};
    ::sigtimedwait(&pipe, nullptr, &kNow);
  }
  ::pthread_sigmask(SIG_SETMASK, &before, nullptr);
  errno = error;
  return written;
}

std::string EndText(const siginfo_t& info) {
  if (info.si_code == CLD_EXITED) return "exit code " + std::to_string(info.si_status);
  return "signal " + std::to_string(info.si_status) + " (" + ::strsignal(info.si_status) + ")";
}

}  // namespace

void LineReader::Close() {
  if (file_ >= 0) ::close(file_);
  file_ = -1;
}

void LineReader::EndLine() {
  lines_.push_back(std::move(pending_));
  pending_.clear();
}

void LineReader::Add(std::string_view bytes) {
  const char* ends = kind_ == Kind::kLog ? "\n\r" : "\n";
  const size_t longest = kind_ == Kind::kLog ? kMaxLogLine : kMaxWorkerLine;
  while (!bytes.empty()) {
    const size_t end = bytes.find_first_of(ends);
    pending_ += bytes.substr(0, end);
    if (pending_.size() > longest) {
      overlong_ = kind_ == Kind::kProtocol;
      if (overlong_) return;
      EndLine();
    }
    if (end == std::string_view::npos) return;
    EndLine();
    bytes.remove_prefix(end + 1);
  }
}

void LineReader::Read() {
  char bytes[16384];
  for (size_t all = 0; file_ >= 0 && !overlong_ && all < kMaxWorkerLine;) {
    const ssize_t got = ::read(file_, bytes, sizeof bytes);
    if (got < 0 && errno == EINTR) continue;
    if (got < 0 && errno == EAGAIN) return;
    if (got <= 0) {
      if (!pending_.empty()) EndLine();
      Close();
      return;
    }
    all += static_cast<size_t>(got);
    Add({bytes, static_cast<size_t>(got)});
  }
}

std::optional<std::string> LineReader::Next() {
  if (lines_.empty()) return std::nullopt;
  std::string line = std::move(lines_.front());
  lines_.pop_front();
  if (!line.empty() && line.back() == '\r') line.pop_back();
  return line;
}

WorkerProcess::WorkerProcess(const std::vector<std::string>& command) {
  std::vector<char*> arguments;
  for (const std::string& word : command) arguments.push_back(const_cast<char*>(word.c_str()));
  arguments.push_back(nullptr);
  Pipes pipes;
  const pid_t parent = ::getpid();
  child_ = ::fork();
  if (child_ == 0) Become(arguments.data(), pipes, parent);
  if (child_ < 0) {
    throw InputError(command.front() + ": no process can be made: " + std::strerror(errno));
  }
  ::close(pipes.failure.write);
  pipes.failure.write = -1;
  int error = 0;
  ssize_t got = 0;
  while ((got = ::read(pipes.failure.read, &error, sizeof error)) < 0 && errno == EINTR) {
  }
  if (got > 0) {
    ::waitpid(child_, nullptr, 0);
    throw InputError(command.front() + ": cannot be started: " + std::strerror(error));
  }
  in_ = pipes.in.Take(&pipes.in.write);
  out_.Open(pipes.out.Take(&pipes.out.read));
  err_.Open(pipes.err.Take(&pipes.err.read));
}

WorkerProcess::~WorkerProcess() {
  if (child_ > 0) {
    Signal(SIGKILL);
    ::waitpid(child_, nullptr, 0);
  }
  if (in_ >= 0) ::close(in_);
  out_.Close();
  err_.Close();
}

void WorkerProcess::AddPolls(std::vector<pollfd>* polls) const {
  if (in_ >= 0 && !outgoing_.empty()) polls->push_back({in_, POLLOUT, 0});
  for (const LineReader* reader : {&out_, &err_}) {
    if (reader->file() >= 0 && !reader->overlong()) polls->push_back({reader->file(), POLLIN, 0});
  }
}

void WorkerProcess::Write() {
  while (in_ >= 0 && !outgoing_.empty()) {
    const ssize_t written = WriteQuietly(in_, std::string_view(outgoing_).substr(written_));
    if (written < 0 && errno == EINTR) continue;
    if (written < 0 && errno == EAGAIN) return;
    if (written < 0) {  // it is gone, or does not listen: what it says, or its end, will tell
      closing_ = true;
      written_ = outgoing_.size();
    } else {
      written_ += static_cast<size_t>(written);
    }
    if (written_ == outgoing_.size()) {
      outgoing_.clear();
      written_ = 0;
    }
  }
  if (closing_ && in_ >= 0) {
    ::close(in_);
    in_ = -1;
  }
}

void WorkerProcess::Exchange() {
  Write();
  out_.Read();
  err_.Read();
}

void WorkerProcess::Signal(int signal) const {
  // In the moment before its setsid there is no such group.
  if (child_ > 0 && ::kill(-child_, signal) != 0) ::kill(child_, signal);
}

std::string WorkerProcess::End() {
  siginfo_t info{};
  for (int look = 0; look < kLooks && info.si_pid == 0; ++look) {
    ::waitid(P_PID, static_cast<id_t>(child_), &info, WEXITED | WNOHANG | WNOWAIT);
    if (info.si_pid == 0) std::this_thread::sleep_for(kLook);
  }
  const bool own = info.si_pid != 0;
  Signal(SIGKILL);  // before it is reaped: the group's number is still its own
  ::waitpid(child_, nullptr, 0);
  child_ = -1;
  err_.Read();
  return own ? EndText(info) : "its stdout closed";
}

}  // namespace longrope
