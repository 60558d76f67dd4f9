// The engine on a CUDA device. This header needs no toolkit; a build without one has no devices.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "kernels/engine.h"

namespace longrope {

struct CudaOptions {
  int device = 0;  // index among those that CUDA shows (CUDA_VISIBLE_DEVICES)
  // Of weights, hidden states, keys and values on the device; arithmetic between is float32. kF32
  // is slow and for checks.
  DType type = DType::kBF16;
  int64_t memory_bytes = 0;   // that it may take of the device; 0: 95 % of what is free, the most
  int64_t block_rows = 2048;  // rows computed at a time, a multiple of 128
  int threads = 0;            // of the host, which builds rope tables; 0: as many as it offers
  // Told in one line what does not go as asked; called by whoever uses the engine. May be empty.
  std::function<void(const std::string&)> report = {};
};

// The devices that can be used (sm_80 and later), and in one line why there are none.
struct CudaDevices {
  std::vector<int> usable;
  std::string why_none;
};
CudaDevices FindCudaDevices();

// Throws DeviceError if the device cannot be used.
std::unique_ptr<Engine> MakeCudaEngine(const CudaOptions& options);

}  // namespace longrope
