#include "eval/backend.h"

#include <fstream>

#include "eval/errors.h"
#include "kernels/reference/reference_engine.h"

namespace longrope {

const std::vector<std::string>& BackendNames() {
  static const std::vector<std::string> names = {"auto", "reference"};
  return names;
}

int64_t DefaultMemoryBytes() {
  std::ifstream meminfo("/proc/meminfo");
  std::string key, unit;
  int64_t kilobytes = 0;
  while (meminfo >> key >> kilobytes) {
    if (key == "MemAvailable:") return kilobytes * 1024 / 5 * 4;
    std::getline(meminfo, unit);
  }
  return INT64_MAX;  // no Linux: nothing is known
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
