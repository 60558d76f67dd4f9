// How long a forward pass takes here, from a few timed blocks of one layer of random weights: only
// the model's shape is needed.
#pragma once

#include <cstdint>

#include "kernels/engine.h"

namespace longrope {

// Seconds, all threads of the engine at work.
struct Calibration {
  double layer_row = 0;  // of one row through one layer, without its keys
  double layer_key = 0;  // of one row and one key it attends to, in one layer
  double head_row = 0;   // of one scored row

  // Estimate for one document.
  double DocumentSeconds(const ModelShape& shape, int64_t tokens) const;
};

// Takes some seconds and the memory of one layer and the head, in float32.
Calibration Calibrate(const Engine& engine, const ModelShape& shape);

}  // namespace longrope
