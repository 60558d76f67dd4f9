// Signals that end a run in good order.
#pragma once

#include <atomic>
#include <stop_token>
#include <thread>

namespace longrope {

// While it lives, SIGTERM, SIGINT and SIGUSR1 request a stop and do nothing else, however many
// come. Make it before any other thread, so that all inherit the blocked signals.
class StopSignals {
 public:
  StopSignals();
  StopSignals(const StopSignals&) = delete;
  StopSignals& operator=(const StopSignals&) = delete;
  ~StopSignals();
  std::stop_token token() const { return stop_.get_token(); }

 private:
  std::stop_source stop_;
  std::atomic<bool> ending_ = false;
  std::thread waiter_;
};

}  // namespace longrope
