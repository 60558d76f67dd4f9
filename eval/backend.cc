#include "eval/backend.h"

#include <algorithm>
#include <fstream>

#include "eval/errors.h"
#include "kernels/cuda/cuda_engine.h"
#include "kernels/device_error.h"
#include "kernels/reference/reference_engine.h"

namespace longrope {

const std::vector<std::string>& BackendNames() {
  static const std::vector<std::string> names = {"auto", "reference", "cuda"};
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

const std::vector<std::string>& BackendDTypes() {
  static const std::vector<std::string> names = {NameOf(DType::kBF16), NameOf(DType::kF16),
                                                 NameOf(DType::kF32)};
  return names;
}

DType DTypeOf(const std::string& name) {
  for (const DType type : {DType::kF32, DType::kF16}) {
    if (name == NameOf(type)) return type;
  }
  return DType::kBF16;
}

int64_t MemoryLimit(const Engine& engine, int64_t asked) {
  return asked > 0 ? asked : engine.DeviceBytes().value_or(DefaultMemoryBytes());
}

namespace {

void RefuseUnknown(const std::string& what, const std::string& name,
                   const std::vector<std::string>& names) {
  if (std::ranges::find(names, name) != names.end()) return;
  std::string allowed;
  for (const std::string& each : names) allowed += (allowed.empty() ? "" : ", ") + each;
  throw InputError("unknown " + what + " '" + name + "'; allowed: " + allowed);
}

std::unique_ptr<Engine> MakeEngineOn(int device, const BackendOptions& options) {
  CudaOptions cuda;
  cuda.device = device;
  cuda.type = DTypeOf(options.dtype);
  cuda.memory_bytes = options.memory_bytes;
  cuda.threads = options.threads;
  cuda.report = options.report;
  return MakeCudaEngine(cuda);
}

// Engines on the CUDA devices that `options` means, at most `most`; none for the CPU.
std::vector<std::unique_ptr<Engine>> MakeCudaEngines(const BackendOptions& options, size_t most) {
  RefuseUnknown("backend", options.name, BackendNames());
  RefuseUnknown("dtype", options.dtype, BackendDTypes());
  std::vector<std::unique_ptr<Engine>> engines;
  if (options.name == "reference") return engines;
  CudaDevices devices = FindCudaDevices();
  const auto say = [&](const std::string& line) {
    if (options.report) options.report(line);
  };
  for (const int device : devices.usable) {
    if (engines.size() == most) break;
    try {
      auto engine = MakeEngineOn(device, options);
      // Which device scores a candidate must not matter.
      if (engines.empty() || (engine->name() == engines.front()->name() &&
                              engine->build() == engines.front()->build())) {
        engines.push_back(std::move(engine));
      } else {
        say("device " + std::to_string(device) + " (" + std::string(engine->build()) +
            ") is left out: it is not of the kind of the first (" +
            std::string(engines.front()->build()) + ")");
      }
    } catch (const DeviceError& error) {  // as one that another process has for itself
      devices.why_none = "device " + std::to_string(device) + " cannot be used: " + error.what();
      say(devices.why_none);
    }
  }
  if (engines.empty() && options.name == "cuda") {
    throw InputError("backend cuda: " + devices.why_none + "; allowed here: auto, reference");
  }
  if (engines.empty()) say("backend auto: the CPU (" + devices.why_none + ")");
  return engines;
}

}  // namespace

std::unique_ptr<Engine> MakeEngine(const BackendOptions& options) {
  auto engines = MakeCudaEngines(options, 1);
  if (!engines.empty()) return std::move(engines.front());
  return MakeReferenceEngine<float>({.threads = options.threads});
}

std::unique_ptr<Engine> MakeEngineToPlan(BackendOptions options) {
  if (options.name == "cuda") {
    const CudaDevices devices = FindCudaDevices();
    if (devices.usable.empty()) {
      if (options.report) {
        options.report("backend cuda: " + devices.why_none + "; planned with the CPU instead");
      }
      options.name = "reference";
    }
  }
  return MakeEngine(options);
}

std::vector<std::unique_ptr<Engine>> MakeEngines(const BackendOptions& options) {
  auto engines = MakeCudaEngines(options, SIZE_MAX);
  if (engines.empty()) engines.push_back(MakeReferenceEngine<float>({.threads = options.threads}));
  return engines;
}

}  // namespace longrope
