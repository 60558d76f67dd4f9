#include "eval/backend.h"

#include <algorithm>
#include <fstream>

#include "eval/errors.h"
#include "kernels/reference/reference_engine.h"

namespace longrope {

const std::vector<std::string>& BackendNames() {
  static const std::vector<std::string> names = {"auto", "reference"};
  return names;
}

namespace {

// What the control group of this process may still take; INT64_MAX where nothing limits it.
int64_t ControlGroupBytes() {
  const auto number = [](const char* path) {
    int64_t value = -1;
    std::ifstream file(path);
    return file >> value ? value : -1;  // "max", or no such file
  };
  const int64_t limit = number("/sys/fs/cgroup/memory.max");
  const int64_t used = number("/sys/fs/cgroup/memory.current");
  return limit < 0 || used < 0 ? INT64_MAX : std::max<int64_t>(limit - used, 0);
}

int64_t AvailableBytes() {
  std::ifstream meminfo("/proc/meminfo");
  std::string key, unit;
  int64_t kilobytes = 0;
  while (meminfo >> key >> kilobytes) {
    if (key == "MemAvailable:") return kilobytes * 1024;
    std::getline(meminfo, unit);
  }
  return INT64_MAX;  // no Linux: nothing is known
}

}  // namespace

int64_t DefaultMemoryBytes() {
  const int64_t free = std::min(AvailableBytes(), ControlGroupBytes());
  return free == INT64_MAX ? free : free / 5 * 4;
}

std::unique_ptr<Engine> MakeEngine(const BackendOptions& options) {
  if (options.name == "auto" || options.name == "reference") {
    return MakeReferenceEngine<float>({.threads = options.threads});
  }
  std::string allowed;
  for (const std::string& name : BackendNames()) allowed += (allowed.empty() ? "" : ", ") + name;
  throw InputError("unknown backend '" + options.name + "'; allowed: " + allowed);
}

}  // namespace longrope
