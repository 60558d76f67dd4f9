// Engines by name.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "kernels/engine.h"

namespace longrope {

struct BackendOptions {
  std::string name = "auto";  // auto: the fastest that runs here; or an engine's name
  int threads = 0;            // 0: as many as the machine offers
};

// The names that MakeEngine takes, "auto" first.
const std::vector<std::string>& BackendNames();

// Bytes that one document may take where nobody says: 4/5 of what the machine has free.
int64_t DefaultMemoryBytes();

// Throws InputError that lists the names.
std::unique_ptr<Engine> MakeEngine(const BackendOptions& options);

}  // namespace longrope
