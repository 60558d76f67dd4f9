// Every kernel but attention against double, within bounds from the type's rounding.
#include "kernels/cuda/ops.h"

#include <gtest/gtest.h>

#include <limits>

#include "tests/cuda/device_data.h"
#include "tests/support/compare.h"

namespace longrope {
namespace {

using cuda::Stream;
using testing::Close;
using testing::FromDevice;
using testing::kFloatRounding;
using testing::kRounding;
using testing::kTiny;
using testing::Numbers;
using testing::OnDevice;
using testing::ToDouble;

template <class T>
class Ops : public ::testing::Test {};
using Types = ::testing::Types<float, __half, __nv_bfloat16>;
TYPED_TEST_SUITE(Ops, Types);

constexpr int64_t kRowCounts[] = {1, 3, 33};

TYPED_TEST(Ops, EmbedCopiesTheRowsOfTheIds) {
  const Stream stream;
  constexpr int64_t kVocab = 17, kWidth = 131;
  const auto table = Numbers(1).Array<TypeParam>(kVocab * kWidth);
  const std::vector<int32_t> ids = {16, 0, 3, 3, 9};
  const auto rows = static_cast<int64_t>(ids.size());
  const auto on_device = OnDevice(table);
  const auto tokens = OnDevice(ids);
  cuda::DeviceArray<TypeParam> out(rows * kWidth);
  cuda::Embed(out.get(), on_device.get(), tokens.get(), rows, kWidth, stream.get());
  const auto got = FromDevice(out, rows * kWidth, stream);
  for (int64_t i = 0; i < rows * kWidth; ++i) {
    const auto from =
        static_cast<size_t>(ids[static_cast<size_t>(i / kWidth)] * kWidth + i % kWidth);
    ASSERT_EQ(ToDouble(got[static_cast<size_t>(i)]), ToDouble(table[from])) << i;
  }
}

TYPED_TEST(Ops, RmsNormIsThatOfDouble) {
  const Stream stream;
  for (const int64_t rows : kRowCounts) {
    for (const int64_t width : {1, 31, 256, 257, 1000}) {
      const auto x = Numbers(2, 1000).Array<TypeParam>(rows * width);
      const auto weight = Numbers(3).Array<float>(width);
      const auto x_device = OnDevice(x);
      const auto weight_device = OnDevice(weight);
      cuda::DeviceArray<TypeParam> out(rows * width);
      cuda::RmsNorm(out.get(), x_device.get(), weight_device.get(), rows, width, 1e-5f,
                    stream.get());
      const auto got = FromDevice(out, rows * width, stream);
      for (int64_t row = 0; row < rows; ++row) {
        double squares = 0;
        for (int64_t i = 0; i < width; ++i) {
          squares += std::pow(ToDouble(x[static_cast<size_t>(row * width + i)]), 2);
        }
        const double scale = 1 / std::sqrt(squares / static_cast<double>(width) + 1e-5f);
        for (int64_t i = 0; i < width; ++i) {
          const auto at = static_cast<size_t>(row * width + i);
          const double expected = ToDouble(x[at]) * scale * weight[static_cast<size_t>(i)];
          // Rounded once to T; in float a sum of `width` squares, in 256 parts, and some products.
          const double terms = static_cast<double>(width) / 256 + 16;
          ASSERT_TRUE(Close(ToDouble(got[at]), expected,
                            std::abs(expected) * (kRounding<TypeParam> + terms * kFloatRounding) +
                                2 * kTiny<TypeParam>))
              << rows << " x " << width << " at " << row << ", " << i;
        }
      }
    }
  }
}

TYPED_TEST(Ops, RotateTurnsThePairsOfHalves) {
  const Stream stream;
  for (const int64_t rows : kRowCounts) {
    for (const int heads : {1, 3}) {
      for (const int pairs : {1, 10, 32, 48}) {
        const int64_t count = rows * heads * 2 * pairs;
        const auto x = Numbers(4, 50).Array<TypeParam>(count);
        const auto cos = Numbers(5).Array<float>(rows * pairs);
        const auto sin = Numbers(6).Array<float>(rows * pairs);
        auto x_device = OnDevice(x);
        const auto cos_device = OnDevice(cos), sin_device = OnDevice(sin);
        cuda::Rotate(x_device.get(), cos_device.get(), sin_device.get(), rows, heads, pairs,
                     stream.get());
        const auto got = FromDevice(x_device, count, stream);
        for (int64_t i = 0; i < count; ++i) {
          const int64_t row = i / (heads * 2 * pairs), in_head = i % (2 * pairs);
          const int64_t pair = in_head % pairs, other = in_head < pairs ? i + pairs : i - pairs;
          const double c = cos[static_cast<size_t>(row * pairs + pair)];
          const double s = sin[static_cast<size_t>(row * pairs + pair)];
          const double mine = ToDouble(x[static_cast<size_t>(i)]) * c;
          const double others =
              ToDouble(x[static_cast<size_t>(other)]) * (in_head < pairs ? -s : s);
          const double bound = std::abs(mine + others) * kRounding<TypeParam> +
                               4 * kFloatRounding * (std::abs(mine) + std::abs(others)) +
                               2 * kTiny<TypeParam>;
          ASSERT_TRUE(Close(ToDouble(got[static_cast<size_t>(i)]), mine + others, bound)) << i;
        }
      }
    }
  }
}

TYPED_TEST(Ops, SwiGluIsThatOfDouble) {
  const Stream stream;
  for (const int64_t count : {1, 255, 256, 257, 1000}) {
    auto gate = Numbers(7, 100).Array<TypeParam>(count);
    gate[0] = testing::FromDouble<TypeParam>(-1000);  // exp overflows
    const auto up = Numbers(8).Array<TypeParam>(count);
    auto gate_device = OnDevice(gate);
    const auto up_device = OnDevice(up);
    cuda::SwiGlu(gate_device.get(), up_device.get(), count, stream.get());
    const auto got = FromDevice(gate_device, count, stream);
    for (size_t i = 0; i < gate.size(); ++i) {
      const double g = ToDouble(gate[i]);
      const double expected = g / (1 + std::exp(-g)) * ToDouble(up[i]);
      ASSERT_TRUE(Close(
          ToDouble(got[i]), expected,
          std::abs(expected) * (kRounding<TypeParam> + 16 * kFloatRounding) + 2 * kTiny<TypeParam>))
          << g;
    }
  }
}

// A number that is not finite spoils its own row, and no other.
TYPED_TEST(Ops, NormsOfOtherRowsDoNotSeeWhatIsNotFinite) {
  const Stream stream;
  constexpr int64_t kWidth = 300;
  auto x = Numbers(9).Array<TypeParam>(3 * kWidth);
  x[kWidth + 7] = testing::FromDouble<TypeParam>(std::nan(""));
  const std::vector<float> weight(kWidth, 1);
  const auto x_device = OnDevice(x);
  const auto weight_device = OnDevice(weight);
  cuda::DeviceArray<TypeParam> out(3 * kWidth);
  cuda::RmsNorm(out.get(), x_device.get(), weight_device.get(), 3, kWidth, 1e-5f, stream.get());
  const auto got = FromDevice(out, 3 * kWidth, stream);
  for (size_t i = 0; i < got.size(); ++i) {
    ASSERT_EQ(std::isfinite(ToDouble(got[i])), i / kWidth != 1) << i;
  }
}

// Logits in parts of `tile` ids.
struct HeadResult {
  std::vector<float> nats;
  std::vector<uint8_t> likeliest;
};
HeadResult RunHead(const std::vector<float>& logits, const std::vector<int32_t>& targets,
                   int64_t vocab, int64_t tile) {
  const Stream stream;
  const auto rows = static_cast<int64_t>(targets.size());
  const auto targets_device = OnDevice(targets);
  cuda::DeviceArray<cuda::HeadState> state(rows);
  cuda::DeviceArray<float> nats(rows);
  cuda::DeviceArray<uint8_t> likeliest(rows);
  cuda::BeginHead(state.get(), rows, stream.get());
  for (int64_t first = 0; first < vocab; first += tile) {
    const int64_t width = std::min(tile, vocab - first);
    std::vector<float> part;
    for (int64_t row = 0; row < rows; ++row) {
      const auto begin = logits.begin() + row * vocab + first;
      part.insert(part.end(), begin, begin + width);
    }
    const auto part_device = OnDevice(part);
    cuda::AddToHead(state.get(), part_device.get(), targets_device.get(), rows,
                    static_cast<int32_t>(first), static_cast<int32_t>(width), stream.get());
    stream.Wait();  // the part goes away
  }
  cuda::FinishHead(nats.get(), likeliest.get(), state.get(), targets_device.get(), rows,
                   stream.get());
  return {FromDevice(nats, rows, stream), FromDevice(likeliest, rows, stream)};
}

TEST(Head, NatsAndVerdictsAreThoseOfDouble) {
  constexpr int64_t kVocab = 700, kRows = 5;
  auto logits = Numbers(10, 20).Array<float>(kRows * kVocab);
  const std::vector<int32_t> targets = {0, 699, -1, 350, 17};
  logits[3 * kVocab + 350] = 40;                          // row 3: the likeliest
  logits[4 * kVocab + 17] = logits[4 * kVocab + 5] = 50;  // row 4: a lower id is as likely
  for (const int64_t tile : {700, 256, 7, 1000}) {
    const HeadResult got = RunHead(logits, targets, kVocab, tile);
    for (int64_t row = 0; row < kRows; ++row) {
      const auto at = static_cast<size_t>(row);
      if (targets[at] < 0) {
        EXPECT_EQ(got.nats[at], 0);
        EXPECT_EQ(got.likeliest[at], 0);
        continue;
      }
      double highest = -1e300, sum = 0;
      for (int64_t i = 0; i < kVocab; ++i) {
        highest = std::max<double>(highest, logits[static_cast<size_t>(row * kVocab + i)]);
      }
      for (int64_t i = 0; i < kVocab; ++i) {
        sum += std::exp(logits[static_cast<size_t>(row * kVocab + i)] - highest);
      }
      const double target = logits[static_cast<size_t>(row * kVocab + targets[at])];
      // Differences of logits are rounded, which exp and log carry over; then a sum of few parts.
      const double bound = kFloatRounding * (4 * std::abs(highest) + std::abs(target) + 40);
      EXPECT_TRUE(Close(got.nats[at], std::log(sum) + highest - target, bound))
          << row << ", " << tile;
      EXPECT_EQ(got.likeliest[at], row == 3 ? 1 : 0) << row << ", " << tile;
    }
  }
}

TEST(Head, WhatIsNotFiniteGivesWhatIsNotFinite) {
  constexpr int64_t kVocab = 40;
  const float infinity = std::numeric_limits<float>::infinity();
  for (const float bad : {std::nanf(""), infinity}) {
    for (const int64_t tile : {40, 16}) {
      auto logits = Numbers(11).Array<float>(2 * kVocab);
      logits[33] = bad;
      const HeadResult got = RunHead(logits, {33, 33}, kVocab, tile);
      EXPECT_FALSE(std::isfinite(got.nats[0]));
      EXPECT_EQ(got.likeliest[0], 0);
      EXPECT_TRUE(std::isfinite(got.nats[1]));
    }
  }
  // One id that cannot be is no fault.
  auto logits = Numbers(12).Array<float>(kVocab);
  logits[3] = -infinity;
  EXPECT_TRUE(std::isfinite(RunHead(logits, {5}, kVocab, 16).nats[0]));
}

}  // namespace
}  // namespace longrope
