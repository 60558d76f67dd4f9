#include "tests/support/process.h"

#include <fcntl.h>
#include <poll.h>
#include <pty.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <chrono>
#include <csignal>
#include <cstdlib>
#include <stdexcept>
#include <thread>
#include <utility>

namespace longrope::testing {
namespace {

constexpr auto kLook = std::chrono::milliseconds(2);

struct Pipe {
  int read = -1, write = -1;

  static Pipe Make() {
    int ends[2];
    if (::pipe2(ends, O_CLOEXEC) != 0) throw std::runtime_error("no pipe");
    return {ends[0], ends[1]};
  }
  // A terminal whose other side is read.
  static Pipe MakeTerminal(int columns) {
    winsize size{};
    size.ws_row = 24;
    size.ws_col = static_cast<unsigned short>(columns);
    Pipe pipe;
    if (::openpty(&pipe.read, &pipe.write, nullptr, nullptr, &size) != 0) {
      throw std::runtime_error("no terminal");
    }
    return pipe;
  }
};

[[noreturn]] void Exec(const std::vector<std::string>& command, const ProcessOptions& options,
                       int out, int err) {
  if (!options.folder.empty() && ::chdir(options.folder.c_str()) != 0) ::_exit(126);
  if (!options.out.empty()) out = ::open(options.out.c_str(), O_WRONLY);
  const int nothing = ::open("/dev/null", O_RDONLY);
  ::dup2(nothing, STDIN_FILENO);
  ::dup2(out, STDOUT_FILENO);
  ::dup2(err, STDERR_FILENO);
  for (const std::string& variable : options.environment) {
    ::putenv(const_cast<char*>(variable.c_str()));
  }
  std::vector<char*> arguments;
  for (const std::string& word : command) arguments.push_back(const_cast<char*>(word.c_str()));
  arguments.push_back(nullptr);
  ::execv(arguments[0], arguments.data());
  ::_exit(127);
}

// Appends what can be read now. False at the end.
bool ReadSome(int file, std::string* text) {
  char bytes[4096];
  const ssize_t got = ::read(file, bytes, sizeof bytes);
  if (got > 0) text->append(bytes, static_cast<size_t>(got));
  return got > 0 || (got < 0 && (errno == EINTR || errno == EAGAIN));
}

double Seconds(const timeval& time) {
  return static_cast<double>(time.tv_sec) + 1e-6 * static_cast<double>(time.tv_usec);
}

}  // namespace

Process::Process(const std::vector<std::string>& command, const ProcessOptions& options) {
  const Pipe out = Pipe::Make();
  const Pipe err =
      options.terminal_columns > 0 ? Pipe::MakeTerminal(options.terminal_columns) : Pipe::Make();
  child_ = ::fork();
  if (child_ < 0) throw std::runtime_error("no process");
  if (child_ == 0) Exec(command, options, out.write, err.write);
  ::close(out.write);
  ::close(err.write);
  out_ = out.read;
  err_ = err.read;
  for (int file : {out_, err_}) ::fcntl(file, F_SETFL, O_NONBLOCK);
}

Process::~Process() {
  if (!reaped_) {
    ::kill(child_, SIGKILL);
    ::waitpid(child_, &status_, 0);
  }
  for (int file : {out_, err_}) {
    if (file >= 0) ::close(file);
  }
}

void Process::Signal(int signal) const { ::kill(child_, signal); }

void Process::Halt() {
  Signal(SIGSTOP);
  if (::waitpid(child_, &status_, WUNTRACED) == child_ && !WIFSTOPPED(status_)) reaped_ = true;
}

// Reads until nothing is there, so that the process never waits for a full pipe.
void Process::Drain() {
  for (auto [file, text] : {std::pair{&out_, &out_text_}, std::pair{&err_, &err_text_}}) {
    while (*file >= 0) {
      pollfd poll{*file, POLLIN, 0};
      if (::poll(&poll, 1, 0) <= 0) break;
      if (ReadSome(*file, text)) continue;
      ::close(*file);
      *file = -1;
    }
  }
}

bool Process::HasEnded() {
  Drain();
  if (!reaped_ && ::wait4(child_, &status_, WNOHANG, &usage_) == child_) reaped_ = true;
  return reaped_;
}

bool Process::WaitFor(const std::function<bool()>& condition) {
  while (!condition()) {
    if (HasEnded()) return condition();
    std::this_thread::sleep_for(kLook);
  }
  return true;
}

Output Process::Wait() {
  WaitFor([] { return false; });
  Drain();
  Output output;
  if (WIFEXITED(status_)) output.code = WEXITSTATUS(status_);
  if (WIFSIGNALED(status_)) output.signal = WTERMSIG(status_);
  output.out = std::move(out_text_);
  output.err = std::move(err_text_);
  output.processor_seconds = Seconds(usage_.ru_utime) + Seconds(usage_.ru_stime);
  output.peak_bytes = int64_t{usage_.ru_maxrss} * 1024;
  return output;
}

bool HasTerminals() {
  const int terminal = ::posix_openpt(O_RDWR | O_NOCTTY);
  if (terminal >= 0) ::close(terminal);
  return terminal >= 0;
}

Output RunProcess(const std::vector<std::string>& command, const ProcessOptions& options) {
  return Process(command, options).Wait();
}

}  // namespace longrope::testing
