#include "search/cli/duration.h"

#include <cmath>
#include <cstdio>

namespace longrope {

std::string DurationText(double seconds) {
  constexpr double kMinute = 60, kHour = 3600, kDay = 86400;
  if (!std::isfinite(seconds)) return "-";
  char text[40];
  if (seconds < 10) {
    std::snprintf(text, sizeof text, "%.2g s", seconds);
  } else if (seconds < 100) {
    std::snprintf(text, sizeof text, "%.0f s", seconds);
  } else if (seconds < 10 * kMinute) {
    const auto whole = std::lround(seconds);
    std::snprintf(text, sizeof text, "%ld min %02ld s", whole / 60, whole % 60);
  } else if (seconds < 2 * kHour) {
    std::snprintf(text, sizeof text, "%.0f min", seconds / kMinute);
  } else if (seconds < 2 * kDay) {
    std::snprintf(text, sizeof text, "%.1f h", seconds / kHour);
  } else if (seconds < 100 * kDay) {
    std::snprintf(text, sizeof text, "%.1f days", seconds / kDay);
  } else {
    std::snprintf(text, sizeof text, "%.0f days", seconds / kDay);
  }
  return text;
}

}  // namespace longrope
