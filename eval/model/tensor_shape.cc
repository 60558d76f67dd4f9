#include "eval/model/tensor_shape.h"

#include <cmath>

#include "kernels/load_row.h"

namespace longrope {

std::string ShapeText(const std::vector<int64_t>& shape) {
  std::string text = "[";
  for (int64_t size : shape) text += (text.size() > 1 ? ", " : "") + std::to_string(size);
  return text + "]";
}

std::vector<int64_t> ShapeOf(const MatrixSize& size) {
  return size.rows == 1 ? std::vector{size.cols} : std::vector{size.rows, size.cols};
}

std::optional<int64_t> FirstNonFinite(std::span<const std::byte> bytes, DType dtype,
                                      const std::vector<int64_t>& shape) {
  TensorView view{bytes.data(), dtype, 1, shape.empty() ? 1 : shape.back()};
  for (size_t i = 0; i + 1 < shape.size(); ++i) view.rows *= shape[i];
  std::vector<float> row(static_cast<size_t>(view.cols));
  for (int64_t r = 0; r < view.rows; ++r) {
    LoadRow(view, r, row.data());
    for (int64_t c = 0; c < view.cols; ++c) {
      if (!std::isfinite(row[static_cast<size_t>(c)])) return r * view.cols + c;
    }
  }
  return std::nullopt;
}

}  // namespace longrope
