// Engines by name.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "kernels/engine.h"

namespace longrope {

struct BackendOptions {
  std::string name = "auto";   // auto: the fastest that runs here; or an engine's name
  int threads = 0;             // 0: as many as the machine offers
  std::string dtype = "bf16";  // what a CUDA engine keeps on its device: one of BackendDTypes
  int64_t memory_bytes = 0;    // that one document may take; 0: most of what is free
  // Told in one line what is not as a user may expect: which engine auto is, and why.
  std::function<void(const std::string&)> report = {};
};

// The names that MakeEngine takes, "auto" first.
const std::vector<std::string>& BackendNames();

// The names of number formats, the default first.
const std::vector<std::string>& BackendDTypes();

// Bytes that one document may take where nobody says: 4/5 of what the machine has free.
int64_t DefaultMemoryBytes();

// Bytes that one document may take on an engine: `asked`, or where that is 0 what its device or the
// machine has free.
int64_t MemoryLimit(const Engine& engine, int64_t asked);

// Throws InputError that lists the names, or says why there is no device.
std::unique_ptr<Engine> MakeEngine(const BackendOptions& options);

// As MakeEngine for what only foresees costs: where CUDA is asked for and there is no device, the
// CPU, which is reported.
std::unique_ptr<Engine> MakeEngineToPlan(BackendOptions options);

// The format that a name of BackendDTypes means.
DType DTypeOf(const std::string& name);

// One engine for every device of that backend that is of the first one's kind.
std::vector<std::unique_ptr<Engine>> MakeEngines(const BackendOptions& options);

}  // namespace longrope
