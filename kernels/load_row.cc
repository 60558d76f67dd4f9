// Scales have 11 bits, parts' scales up to 8 and numbers up to 6: wherever a sum follows, its
// products are exact, so that fused operations give the same bits.
#include "kernels/load_row.h"

#include <cstring>

#include "kernels/dtype.h"

namespace longrope {
namespace {

constexpr int kHalf = 16;  // bytes of nibbles in a block of 32: low ones first, then high ones

int Byte(const std::byte* at) { return std::to_integer<int>(*at); }
int SignedByte(const std::byte* at) { return static_cast<int8_t>(Byte(at)); }
float Half(const std::byte* at) { return LoadFloat(at, DType::kF16, 0); }
// Nibble i of 32.
int Nibble(const std::byte* nibbles, int i) {
  return i < kHalf ? Byte(nibbles + i) & 15 : Byte(nibbles + i - kHalf) >> 4;
}
// Bit i of 32, as the fifth of a number.
int FifthBit(const std::byte* bits, int i) { return (Byte(bits + i / 8) >> (i % 8) & 1) << 4; }

// {scale, nibbles}: 18 bytes.
void LoadQ4_0(const std::byte* block, float* out) {
  const float scale = Half(block);
  for (int i = 0; i < 32; ++i) out[i] = scale * static_cast<float>(Nibble(block + 2, i) - 8);
}

// {scale, minimum, nibbles}: 20 bytes.
void LoadQ4_1(const std::byte* block, float* out) {
  const float scale = Half(block), minimum = Half(block + 2);
  for (int i = 0; i < 32; ++i) {
    out[i] = scale * static_cast<float>(Nibble(block + 4, i)) + minimum;
  }
}

// {scale, fifth bits, nibbles}: 22 bytes.
void LoadQ5_0(const std::byte* block, float* out) {
  const float scale = Half(block);
  for (int i = 0; i < 32; ++i) {
    const int number = Nibble(block + 6, i) | FifthBit(block + 2, i);
    out[i] = scale * static_cast<float>(number - 16);
  }
}

// {scale, minimum, fifth bits, nibbles}: 24 bytes.
void LoadQ5_1(const std::byte* block, float* out) {
  const float scale = Half(block), minimum = Half(block + 2);
  for (int i = 0; i < 32; ++i) {
    const int number = Nibble(block + 8, i) | FifthBit(block + 4, i);
    out[i] = scale * static_cast<float>(number) + minimum;
  }
}

// {scale, numbers}: 34 bytes.
void LoadQ8_0(const std::byte* block, float* out) {
  const float scale = Half(block);
  for (int i = 0; i < 32; ++i) out[i] = scale * static_cast<float>(SignedByte(block + 2 + i));
}

// Scale and minimum of part `part` of eight, six bits each in twelve bytes: four scales, four
// minima, then the low four bits of the other eight, whose high two are those of the first eight.
struct Part {
  int scale, minimum;
};
Part PartOf(const std::byte* scales, int part) {
  if (part < 4) return {Byte(scales + part) & 63, Byte(scales + 4 + part) & 63};
  const int low = Byte(scales + 4 + part);
  return {(low & 15) | (Byte(scales + part - 4) >> 6) << 4, low >> 4 | (Byte(scales + part) >> 6)
                                                                           << 4};
}

// {scale, scale of minima, parts, nibbles}: 144 bytes. Two parts of 32 share 32 bytes.
void LoadQ4K(const std::byte* block, float* out) {
  const float scale = Half(block), minima = Half(block + 2);
  for (int p = 0; p < 8; ++p) {
    const Part part = PartOf(block + 4, p);
    const float step = scale * static_cast<float>(part.scale);
    const float minimum = minima * static_cast<float>(part.minimum);
    const std::byte* nibbles = block + 16 + p / 2 * 32;
    for (int i = 0; i < 32; ++i) {
      const int number = Byte(nibbles + i) >> (p % 2 * 4) & 15;
      out[32 * p + i] = step * static_cast<float>(number) - minimum;
    }
  }
}

// {scale, scale of minima, parts, fifth bits, nibbles}: 176 bytes. Bit p of the 32 bytes of fifth
// bits is part p's.
void LoadQ5K(const std::byte* block, float* out) {
  const float scale = Half(block), minima = Half(block + 2);
  for (int p = 0; p < 8; ++p) {
    const Part part = PartOf(block + 4, p);
    const float step = scale * static_cast<float>(part.scale);
    const float minimum = minima * static_cast<float>(part.minimum);
    const std::byte* nibbles = block + 48 + p / 2 * 32;
    for (int i = 0; i < 32; ++i) {
      const int number = (Byte(nibbles + i) >> (p % 2 * 4) & 15) | (Byte(block + 16 + i) >> p & 1)
                                                                       << 4;
      out[32 * p + i] = step * static_cast<float>(number) - minimum;
    }
  }
}

// {nibbles, upper two bits, scales, scale}: 210 bytes. Of each half of 128 numbers, in runs of 32:
// nibbles low, low, high, high of 64 bytes; two bits each, from low to high, of 32 bytes.
void LoadQ6K(const std::byte* block, float* out) {
  const float scale = Half(block + 208);
  for (int run = 0; run < 8; ++run) {
    const std::byte* nibbles = block + run / 4 * 64 + run % 2 * 32;
    const std::byte* upper = block + 128 + run / 4 * 32;
    for (int i = 0; i < 32; ++i) {
      const float step = scale * static_cast<float>(SignedByte(block + 192 + 2 * run + i / kHalf));
      const int number = (Byte(nibbles + i) >> (run % 4 / 2 * 4) & 15) |
                         (Byte(upper + i) >> (2 * (run % 4)) & 3) << 4;
      out[32 * run + i] = step * static_cast<float>(number - 32);
    }
  }
}

void LoadPlain(const std::byte* row, DType dtype, int64_t cols, float* out) {
  if (dtype == DType::kF32) {
    std::memcpy(out, row, static_cast<size_t>(4 * cols));
    return;
  }
  for (int64_t i = 0; i < cols; ++i) out[i] = LoadFloat(row, dtype, i);
}

void LoadBlock(const std::byte* block, DType dtype, float* out) {
  switch (dtype) {
    case DType::kF32:
    case DType::kF16:
    case DType::kBF16:
      *out = LoadFloat(block, dtype, 0);
      return;
    case DType::kQ4_0:
      return LoadQ4_0(block, out);
    case DType::kQ4_1:
      return LoadQ4_1(block, out);
    case DType::kQ5_0:
      return LoadQ5_0(block, out);
    case DType::kQ5_1:
      return LoadQ5_1(block, out);
    case DType::kQ8_0:
      return LoadQ8_0(block, out);
    case DType::kQ4K:
      return LoadQ4K(block, out);
    case DType::kQ5K:
      return LoadQ5K(block, out);
    case DType::kQ6K:
      return LoadQ6K(block, out);
  }
}

}  // namespace

const std::byte* StoredRow(const TensorView& view, int64_t row) {
  if (const int64_t head = view.paired_head; head > 0) {
    const int64_t in_head = row % head, pairs = head / 2;
    row += 2 * (in_head % pairs) + in_head / pairs - in_head;
  }
  const Block block = BlockOf(view.dtype);
  return view.data + row * (view.cols / block.elements * block.bytes);
}

void LoadRow(const TensorView& view, int64_t row, float* out) {
  const std::byte* stored = StoredRow(view, row);
  const Block block = BlockOf(view.dtype);
  if (block.elements == 1) return LoadPlain(stored, view.dtype, view.cols, out);
  for (int64_t i = 0; i < view.cols; i += block.elements, stored += block.bytes) {
    LoadBlock(stored, view.dtype, out + i);
  }
}

void LoadRow(const TensorView& view, int64_t row, double* out) {
  // Into the upper half of the place, then widened from the front: none is overwritten unread.
  std::byte* narrow = reinterpret_cast<std::byte*>(out) + 4 * view.cols;
  LoadRow(view, row, reinterpret_cast<float*>(narrow));
  for (int64_t i = 0; i < view.cols; ++i) out[i] = LoadFloat(narrow, DType::kF32, i);
}

}  // namespace longrope
