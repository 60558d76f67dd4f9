// Both attention kernels against double, within bounds from the types' rounding.
#include <gtest/gtest.h>

#include <algorithm>

#include "kernels/cuda/ops.h"
#include "tests/cuda/device_data.h"
#include "tests/cuda/pairwise.h"
#include "tests/support/compare.h"

namespace longrope {
namespace {

using cuda::AttentionArguments;
using cuda::Stream;
using testing::Close;
using testing::FromDevice;
using testing::kFloatRounding;
using testing::kRounding;
using testing::kTiny;
using testing::Numbers;
using testing::OnDevice;
using testing::PairwiseCases;
using testing::ToDouble;

struct Case {
  int rows, first, window, kv_heads, group, dim;
  double outliers = 1;
};

// Of which kernel a bound is.
enum class Kernel { kPlain, kTensor };

template <class T>
struct Arrays {
  explicit Arrays(const Case& c)
      : q(Numbers(1, c.outliers).Array<T>(int64_t{c.rows} * c.kv_heads * c.group * c.dim)),
        k(Numbers(2, c.outliers).Array<T>(int64_t{c.first + c.rows} * c.kv_heads * c.dim)),
        v(Numbers(3, c.outliers).Array<T>(int64_t{c.first + c.rows} * c.kv_heads * c.dim)) {}
  std::vector<T> q, k, v;
};

template <class T>
std::vector<T> AttentionOf(const Case& c, const Arrays<T>& arrays, Kernel kernel) {
  const Stream stream;
  const auto q = OnDevice(arrays.q), k = OnDevice(arrays.k), v = OnDevice(arrays.v);
  const auto count = static_cast<int64_t>(arrays.q.size());
  cuda::DeviceArray<T> out(count);
  const AttentionArguments<T> arguments = {out.get(),  q.get(), k.get(),  v.get(),
                                           c.rows,     c.first, c.window, c.kv_heads * c.group,
                                           c.kv_heads, c.dim};
  if (kernel == Kernel::kPlain) {
    cuda::AttendPlain(arguments, stream.get());
  } else if constexpr (sizeof(T) == 2) {
    cuda::AttendTensor(arguments, stream.get());
  }
  return FromDevice(out, count, stream);
}

// One element, and how far a kernel may be off.
struct Expected {
  double value, bound;
};

template <class T>
class Reference {
 public:
  Reference(const Case& c, const Arrays<T>& arrays, Kernel kernel)
      : c_(c), arrays_(arrays), kernel_(kernel) {}

  // The head's output at a row, element by element.
  std::vector<Expected> Row(int row, int head) {
    const int position = c_.first + row, kv_head = head / c_.group;
    const int begin = c_.window > 0 ? std::max(0, position - c_.window + 1) : 0;
    std::vector<double> weights;
    double highest = -1e300, off = 0, sum = 0;
    for (int key = begin; key <= position; ++key) {
      double score = 0, size = 0;
      for (int d = 0; d < c_.dim; ++d) {
        const double term =
            ToDouble(arrays_.q[At(row, head, d)]) * ToDouble(arrays_.k[KeyAt(key, kv_head, d)]);
        score += term;
        size += std::abs(term);
      }
      const double scale = 1 / std::sqrt(c_.dim);
      weights.push_back(score * scale);
      highest = std::max(highest, score * scale);
      // A sum of dim products in float, scaled; then the difference to the highest is rounded.
      off = std::max(off, size * scale * (c_.dim + 4) * kFloatRounding);
    }
    for (double& weight : weights) sum += weight = std::exp(weight - highest);
    // Both the score and the highest are off; exp turns that into a factor. Sums of weights, the
    // rescaling of each tile, and the hardware's 2^x add parts of 2^-22 each.
    const double keys = static_cast<double>(weights.size());
    double factor =
        std::expm1(2 * off) + (keys + 64) * kFloatRounding + keys / 32 * 0x1p-22 + 0x1p-21;
    if (kernel_ == Kernel::kTensor) factor += kRounding<T>;  // weights are rounded to T
    std::vector<Expected> out;
    for (int d = 0; d < c_.dim; ++d) {
      double value = 0, size = 0;
      for (size_t i = 0; i < weights.size(); ++i) {
        const double term =
            weights[i] / sum * ToDouble(arrays_.v[KeyAt(begin + static_cast<int>(i), kv_head, d)]);
        value += term;
        size += std::abs(term);
      }
      out.push_back({value, std::abs(value) * kRounding<T> + size * factor + 2 * kTiny<T>});
    }
    return out;
  }

 private:
  size_t At(int row, int head, int d) const {
    return static_cast<size_t>((int64_t{row} * c_.kv_heads * c_.group + head) * c_.dim + d);
  }
  size_t KeyAt(int key, int kv_head, int d) const {
    return static_cast<size_t>((int64_t{key} * c_.kv_heads + kv_head) * c_.dim + d);
  }
  const Case& c_;
  const Arrays<T>& arrays_;
  Kernel kernel_;
};

template <class T>
void ExpectRight(const Case& c, Kernel kernel) {
  SCOPED_TRACE(::testing::Message()
               << c.rows << " rows at " << c.first << ", window " << c.window << ", " << c.kv_heads
               << " x " << c.group << " heads of " << c.dim << ", outliers " << c.outliers);
  const Arrays<T> arrays(c);
  const auto got = AttentionOf(c, arrays, kernel);
  Reference<T> reference(c, arrays, kernel);
  double worst = 0;
  for (int row = 0; row < c.rows; ++row) {
    for (int head = 0; head < c.kv_heads * c.group; ++head) {
      const auto expected = reference.Row(row, head);
      for (int d = 0; d < c.dim; ++d) {
        const auto at =
            static_cast<size_t>((int64_t{row} * c.kv_heads * c.group + head) * c.dim + d);
        const Expected& e = expected[static_cast<size_t>(d)];
        ASSERT_TRUE(Close(ToDouble(got[at]), e.value, e.bound)) << row << ", " << head << ", " << d;
        worst = std::max(worst, std::abs(ToDouble(got[at]) - e.value) / e.bound);
      }
    }
  }
  // A bound that is never nearly met would notice nothing. A window of 1 copies v: no error at all.
  if (c.rows * c.dim > 1000 && c.window != 1) {
    EXPECT_GT(worst, 1e-3);
  }
}

constexpr int kTokens[] = {1, 31, 32, 33, 65, 127};
constexpr int kTensorDims[] = {64, 80, 96, 128};
constexpr int kPlainDims[] = {2, 20, 64, 80, 200};
constexpr int kGroups[] = {1, 2, 4, 8};
constexpr int kFirsts[] = {0, 1, 28, 97};
constexpr int kWindows[] = {0, 1, 40};
constexpr double kOutliers[] = {1, 30};

// All pairs of tokens, head sizes, groups, positions of the first row, windows, plain and hostile
// numbers; a second key/value head where the group is small.
template <class T, size_t kCount>
void ExpectRightOnGrid(const int (&dims)[kCount], Kernel kernel) {
  for (const auto& i : PairwiseCases({6, static_cast<int>(kCount), 4, 4, 3, 2})) {
    const int group = kGroups[i[2]];
    ExpectRight<T>({kTokens[i[0]], kFirsts[i[3]], kWindows[i[4]], group > 2 ? 1 : 2, group,
                    dims[i[1]], kOutliers[i[5]]},
                   kernel);
    if (::testing::Test::HasFatalFailure()) return;
  }
}

TEST(Attention, PlainIsThatOfDoubleInF32) { ExpectRightOnGrid<float>(kPlainDims, Kernel::kPlain); }
TEST(Attention, PlainIsThatOfDoubleInF16) { ExpectRightOnGrid<__half>(kPlainDims, Kernel::kPlain); }
TEST(Attention, PlainIsThatOfDoubleInBf16) {
  ExpectRightOnGrid<__nv_bfloat16>(kPlainDims, Kernel::kPlain);
}
TEST(Attention, TensorIsThatOfDoubleInF16) {
  ExpectRightOnGrid<__half>(kTensorDims, Kernel::kTensor);
}
TEST(Attention, TensorIsThatOfDoubleInBf16) {
  ExpectRightOnGrid<__nv_bfloat16>(kTensorDims, Kernel::kTensor);
}

// More than one block of rows and many tiles.
TEST(Attention, TensorTakesManyTilesAndBlocks) {
  ExpectRight<__nv_bfloat16>({200, 200, 0, 1, 1, 64}, Kernel::kTensor);
  ExpectRight<__half>({150, 130, 90, 1, 2, 128}, Kernel::kTensor);
}

// The highest score stands in the first of many tiles. Scores are exact and large, their product
// with the kernel's factor is not: were a tile's rescaling off by that rounding, later tiles would
// weigh 0.7 % more than they should.
TEST(Attention, TensorKeepsTheFirstOfManyTiles) {
  using T = __half;
  constexpr double kQuery = 163, kFirst = 1.9765625, kOthers = 1.6796875;
  const Case c = {1, 12'000, 0, 1, 1, 64};
  Arrays<T> arrays(c);
  std::ranges::fill(arrays.q, testing::FromDouble<T>(kQuery));
  std::ranges::fill(arrays.k, testing::FromDouble<T>(kOthers));
  std::ranges::fill(arrays.v, testing::FromDouble<T>(0));
  arrays.k[0] = testing::FromDouble<T>(kFirst);
  std::fill_n(arrays.v.begin(), 64, testing::FromDouble<T>(1));
  const double expected = 1 / (1 + c.first * std::exp(kQuery * (kOthers - kFirst) / 8));
  const auto got = AttentionOf(c, arrays, Kernel::kTensor);
  for (const T value : got) {
    ASSERT_TRUE(Close(ToDouble(value), expected, expected * 3 * testing::kRounding<T>));
  }
}

// What a row sees, it sees whatever stands after it.
TEST(Attention, RowsDoNotDependOnTheRowsAfterThem) {
  using T = __nv_bfloat16;
  const Case all = {130, 0, 0, 1, 1, 64}, some = {70, 0, 0, 1, 1, 64};
  const Arrays<T> arrays(all);
  Arrays<T> cut(all);
  cut.q.resize(70 * 64);
  cut.k.resize(70 * 64);
  cut.v.resize(70 * 64);
  const auto whole = AttentionOf(all, arrays, Kernel::kTensor);
  const auto begin = AttentionOf(some, cut, Kernel::kTensor);
  for (size_t i = 0; i < begin.size(); ++i) ASSERT_EQ(ToDouble(begin[i]), ToDouble(whole[i])) << i;
}

// The rows that see it are spoilt. In the tensor kernel so may be rows before it, of the same tile:
// 0 times what is not finite. The document is refused either way.
TEST(Attention, AValueThatIsNotFiniteSpoilsTheRowsThatSeeIt) {
  const Case c = {70, 0, 0, 1, 1, 64};
  Arrays<__nv_bfloat16> arrays(c);
  arrays.v[50 * 64 + 3] = testing::FromDouble<__nv_bfloat16>(std::nan(""));
  for (const Kernel kernel : {Kernel::kPlain, Kernel::kTensor}) {
    const auto got = AttentionOf(c, arrays, kernel);
    for (int row = 0; row < 70; ++row) {
      const bool finite = std::isfinite(ToDouble(got[static_cast<size_t>(row * 64 + 3)]));
      if (row >= 50 || kernel == Kernel::kPlain) {
        ASSERT_EQ(finite, row < 50) << row;
      }
      ASSERT_TRUE(std::isfinite(ToDouble(got[static_cast<size_t>(row * 64 + 2)]))) << row;
    }
  }
}

// The rows that see it are spoilt.
TEST(Attention, AKeyThatIsNotFiniteSpoilsTheRowsThatSeeIt) {
  const Case c = {70, 0, 0, 1, 1, 64};
  Arrays<__nv_bfloat16> arrays(c);
  arrays.k[50 * 64 + 3] = testing::FromDouble<__nv_bfloat16>(std::nan(""));
  for (const Kernel kernel : {Kernel::kPlain, Kernel::kTensor}) {
    const auto got = AttentionOf(c, arrays, kernel);
    for (int row = 0; row < 70; ++row) {
      ASSERT_EQ(std::isfinite(ToDouble(got[static_cast<size_t>(row * 64)])), row < 50) << row;
    }
  }
}

}  // namespace
}  // namespace longrope
