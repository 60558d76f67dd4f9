#include "eval/model/tensor_shape.h"

#include <algorithm>
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

std::optional<int64_t> FirstNonFinite(std::span<const std::byte> bytes, DType dtype) {
  constexpr int64_t kBlocks = 1024;  // looked at together
  const Block block = BlockOf(dtype);
  const int64_t blocks = static_cast<int64_t>(bytes.size()) / block.bytes;
  std::vector<float> numbers;
  for (int64_t at = 0; at < blocks; at += kBlocks) {
    numbers.resize(static_cast<size_t>(std::min(kBlocks, blocks - at) * block.elements));
    LoadRow({bytes.data() + at * block.bytes, dtype, 1, static_cast<int64_t>(numbers.size())}, 0,
            numbers.data());
    const auto bad = std::ranges::find_if(numbers, [](float x) { return !std::isfinite(x); });
    if (bad != numbers.end()) return at * block.elements + (bad - numbers.begin());
  }
  return std::nullopt;
}

}  // namespace longrope
