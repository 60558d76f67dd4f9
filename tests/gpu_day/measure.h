// What a GPU day measures, as lines of Markdown tables.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "kernels/weights.h"

namespace longrope::gpu_day {

struct NamedShape {
  std::string name;
  ModelShape shape;
};

// LLaMA-2-7B and Mistral-7B; `small`: two layers of next to nothing, to try this code out.
std::vector<NamedShape> Shapes(bool small);

struct Device {
  std::string name;
  int processors = 0, major = 0, minor = 0;
  double peak_tflops =
      0;  // dense bf16 with float sums at the highest clock, by architecture; 0: unknown
  double memory_gb = 0;
};
Device CurrentDevice();

// Attention of the last block of rows of a sequence, projections of a block, by their share of the
// peak. `lengths` in tokens.
void MeasureAttention(const NamedShape& model, const Device& device,
                      const std::vector<int64_t>& lengths);
void MeasureProjections(const NamedShape& model, const Device& device);

// Two layers of whole sequences, scaled to all and labelled so, while the length before promises
// that it does not take too long; then all layers and the head at the lengths that take under a
// minute.
void MeasureLayers(const NamedShape& model, const Device& device,
                   const std::vector<int64_t>& lengths);

}  // namespace longrope::gpu_day
