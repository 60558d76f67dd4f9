#include "kernels/load_row.h"

#include <gtest/gtest.h>

#include <bit>
#include <cmath>
#include <cstring>
#include <vector>

#include "tests/support/random_weights.h"
#include "tests/support/temp_folder.h"

namespace longrope {
namespace {

using testing::SlurpFile;
using testing::SourcePath;

constexpr DType kFormats[] = {DType::kF32,  DType::kF16,  DType::kBF16, DType::kQ4_0,
                              DType::kQ4_1, DType::kQ5_0, DType::kQ5_1, DType::kQ8_0,
                              DType::kQ4K,  DType::kQ5K,  DType::kQ6K};

// Which payload a NaN has depends on the order of operands.
bool SameNumber(float a, float b) {
  if (std::isnan(a) || std::isnan(b)) return std::isnan(a) && std::isnan(b);
  return std::bit_cast<uint32_t>(a) == std::bit_cast<uint32_t>(b);
}

std::vector<float> Floats(const std::string& bytes) {
  std::vector<float> floats(bytes.size() / 4);
  std::memcpy(floats.data(), bytes.data(), floats.size() * 4);
  return floats;
}

// Random blocks and what the gguf package makes of them (tests/golden/gguf/make_golden.py): scales
// are 0, subnormal, negative, the largest, infinite or NaN in the first ones.
class LoadRowGolden : public ::testing::TestWithParam<DType> {
 protected:
  LoadRowGolden()
      : stored_(SlurpFile(Path(".stored"))),
        expected_(Floats(SlurpFile(Path(".f32")))),
        blocks_(static_cast<int64_t>(stored_.size()) / BlockOf(GetParam()).bytes) {}

  std::filesystem::path Path(const char* suffix) const {
    return SourcePath("tests/golden/gguf") / (std::string(NameOf(GetParam())) + suffix);
  }
  // All blocks in so many rows, at an odd place.
  TensorView View(int64_t rows) {
    shifted_ = "x" + stored_;
    return {reinterpret_cast<const std::byte*>(shifted_.data()) + 1, GetParam(), rows,
            blocks_ / rows * BlockOf(GetParam()).elements};
  }

  std::string stored_, shifted_;
  std::vector<float> expected_;
  int64_t blocks_;
};

TEST_P(LoadRowGolden, GivesTheBitsOfTheGgufPackage) {
  ASSERT_GE(blocks_, 12);
  ASSERT_EQ(expected_.size(), static_cast<size_t>(blocks_ * BlockOf(GetParam()).elements));
  const TensorView view = View(1);
  std::vector<float> row(expected_.size());
  LoadRow(view, 0, row.data());
  for (size_t i = 0; i < row.size(); ++i) {
    ASSERT_TRUE(SameNumber(row[i], expected_[i])) << i << ": " << row[i] << ", " << expected_[i];
  }
}

TEST_P(LoadRowGolden, RowsFollowOneAnotherAndWiden) {
  const TensorView view = View(4);
  std::vector<float> row(static_cast<size_t>(view.cols));
  std::vector<double> wide(static_cast<size_t>(view.cols));
  for (int64_t r = 0; r < 4; ++r) {
    LoadRow(view, r, row.data());
    LoadRow(view, r, wide.data());
    for (size_t i = 0; i < row.size(); ++i) {
      const float expected = expected_[static_cast<size_t>(r) * row.size() + i];
      ASSERT_TRUE(SameNumber(row[i], expected)) << r << " " << i;
      ASSERT_TRUE(SameNumber(static_cast<float>(wide[i]), expected)) << r << " " << i;
      ASSERT_TRUE(std::isnan(wide[i]) || wide[i] == static_cast<double>(expected));
    }
  }
}

INSTANTIATE_TEST_SUITE_P(Formats, LoadRowGolden, ::testing::ValuesIn(kFormats),
                         [](const auto& format) { return NameOf(format.param); });

TEST(LoadRow, PairedHeadsComeOutAsHalves) {
  // Two heads of six rows; a number says where its row stands in the file.
  std::vector<float> stored(12);
  for (size_t i = 0; i < stored.size(); ++i) stored[i] = static_cast<float>(i);
  const TensorView view{reinterpret_cast<const std::byte*>(stored.data()), DType::kF32, 12, 1, 6};
  const float expected[] = {0, 2, 4, 1, 3, 5, 6, 8, 10, 7, 9, 11};
  for (int64_t row = 0; row < 12; ++row) {
    float number = -1;
    LoadRow(view, row, &number);
    EXPECT_EQ(number, expected[row]) << row;
  }
}

// One view of another kind than the shape asks for.
class SpoiltWeights final : public WeightSource {
 public:
  SpoiltWeights(const ModelShape& shape, WeightRole role, DType dtype, int64_t paired_head)
      : weights_(shape, {}), role_(role), dtype_(dtype), paired_head_(paired_head) {}
  TensorView Get(WeightRole role, int layer) const override {
    TensorView view = weights_.Get(role, layer);
    if (role == role_) {
      view.dtype = dtype_;
      view.paired_head = paired_head_;
    }
    return view;
  }

 private:
  testing::RandomWeights weights_;
  WeightRole role_;
  DType dtype_;
  int64_t paired_head_;
};

TEST(CheckedWeight, RefusesRowsThatAreNotWholeBlocksOrHeads) {
  const ModelShape shape{1, 48, 2, 1, 24, 64, 16};
  const auto check = [&](WeightRole role, DType dtype, int64_t paired_head) {
    const SpoiltWeights weights(shape, role, dtype, paired_head);
    return CheckedWeight(weights, role, 0, shape);
  };
  EXPECT_THROW(check(WeightRole::kQuery, DType::kQ4_0, 0), std::invalid_argument);
  EXPECT_THROW(check(WeightRole::kQuery, DType::kF32, 32), std::invalid_argument);
  EXPECT_EQ(check(WeightRole::kQuery, DType::kF32, 24).paired_head, 24);
  EXPECT_EQ(check(WeightRole::kDown, DType::kQ8_0, 0).cols, 64);
}

}  // namespace
}  // namespace longrope
