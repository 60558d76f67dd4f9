// How far long work on texts is, for those who wait for it.
#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <stop_token>
#include <string>

namespace longrope {

// Who is told, and may end the work. Everything may be left out.
struct Listener {
  std::function<void(const std::string&)> say = {};   // a line for the user
  std::function<void(const std::string&)> warn = {};  // likewise, of what went wrong
  std::stop_token stop = {};

  void Say(const std::string& line) const {
    if (say) say(line);
  }
  void Warn(const std::string& line) const {
    if (warn) warn(line);
  }
};

// A line every few seconds: short work says nothing.
class Pace {
 public:
  // `what` begins the lines. `listener` outlives it.
  Pace(const Listener& listener, std::string what);
  // At a place where the work may end: throws Stopped if that was asked for. "WHAT: 12.3 of 100
  // MB"; without a total (0) "WHAT: 12.3 MB".
  void At(int64_t bytes, int64_t total);

 private:
  const Listener& listener_;
  std::string what_;
  std::chrono::steady_clock::time_point last_;
};

// "12.3" of so many bytes in MB, with three digits that count.
std::string Megabytes(int64_t bytes);

}  // namespace longrope
