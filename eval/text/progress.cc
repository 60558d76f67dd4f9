#include "eval/text/progress.h"

#include <cstdio>

#include "eval/errors.h"

namespace longrope {
namespace {

constexpr auto kPause = std::chrono::seconds(5);  // between lines

}  // namespace

std::string Megabytes(int64_t bytes) {
  const double mega = static_cast<double>(bytes) / 1e6;
  char text[40];
  std::snprintf(text, sizeof text, mega < 9.995 ? "%.2f" : mega < 99.95 ? "%.1f" : "%.0f", mega);
  return text;
}

Pace::Pace(const Listener& listener, std::string what)
    : listener_(listener), what_(std::move(what)), last_(std::chrono::steady_clock::now()) {}

void Pace::At(int64_t bytes, int64_t total) {
  if (listener_.stop.stop_requested()) throw Stopped();
  const auto now = std::chrono::steady_clock::now();
  if (now - last_ < kPause) return;
  last_ = now;
  listener_.Say(what_ + ": " + Megabytes(bytes) +
                (total > 0 ? " of " + Megabytes(total) : std::string()) + " MB");
}

}  // namespace longrope
