#include "search/cli/signals.h"

#include <pthread.h>

#include <csignal>

namespace longrope {
namespace {

// SIGUSR2 ends the waiting thread.
sigset_t Awaited() {
  sigset_t set;
  sigemptyset(&set);
  for (int signal : {SIGTERM, SIGINT, SIGUSR1, SIGUSR2}) sigaddset(&set, signal);
  return set;
}

}  // namespace

StopSignals::StopSignals() {
  const sigset_t set = Awaited();
  pthread_sigmask(SIG_BLOCK, &set, nullptr);
  waiter_ = std::thread([this, set] {
    int signal = 0;
    while (sigwait(&set, &signal) == 0) {
      if (signal != SIGUSR2) stop_.request_stop();
      if (signal == SIGUSR2 && ending_) return;  // another process may send one too
    }
  });
}

StopSignals::~StopSignals() {
  ending_ = true;
  pthread_kill(waiter_.native_handle(), SIGUSR2);
  waiter_.join();
}

}  // namespace longrope
