// Rows of stored weights as float32, dequantised block by block.
#pragma once

#include "kernels/weights.h"

namespace longrope {

// Writes the view.cols numbers of a row of the view, in the engines' order of rows (paired_head).
// Blocks give the very bits of the `gguf` package's dequantize. Layouts: ggml's ggml-common.h, as
// the package reads them.
void LoadRow(const TensorView& view, int64_t row, float* out);
// The same numbers, widened.
void LoadRow(const TensorView& view, int64_t row, double* out);

// Where the row stands in the file: the view's first byte plus whole rows.
const std::byte* StoredRow(const TensorView& view, int64_t row);

}  // namespace longrope
