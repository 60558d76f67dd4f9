// Engines by name.
#pragma once

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

// Throws InputError that lists the names.
std::unique_ptr<Engine> MakeEngine(const BackendOptions& options);

}  // namespace longrope
