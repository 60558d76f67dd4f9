// The twins of the tensor-core instructions against matrices that are indexed from the matrix's
// side: where an element of the matrix is, by lane and register.
#include <algorithm>
#include <random>

#include "kernels/cuda/device.h"
#include "tests/cuda/stand_in/fixture.h"

namespace longrope::cuda {
namespace {

using stand_in::DeviceArray;
using stand_in::Options;
using stand_in::TensorCore;

template <class T>
uint32_t BitsOf(T value) {
  uint16_t bits;
  std::copy_n(reinterpret_cast<const char*>(&value), 2, reinterpret_cast<char*>(&bits));
  return bits;
}

template <class T>
T Rounded(float value) {
  if constexpr (std::is_same_v<T, __half>) {
    return __float2half_rn(value);
  } else {
    return __float2bfloat16_rn(value);
  }
}

// d = d + a b, row-major 16x16, 16x8 and 16x8. Element (row, k) of A is in lane
// 4 (row % 8) + k % 8 / 2, register row / 8 + 2 (k / 8), half k % 2; element (k, column) of B in
// lane 4 column + k % 8 / 2, register k / 8, half k % 2; element (row, column) of D in lane
// 4 (row % 8) + column / 2, register 2 (row / 8) + column % 2.
template <class T>
__global__ void MmaProbe(float* d, const T* a, const T* b) {
  const int lane = static_cast<int>(threadIdx.x);
  uint32_t a_registers[4] = {}, b_registers[2] = {};
  float d_registers[4];
  for (int k = 0; k < 16; ++k) {
    for (int row = 0; row < 16; ++row) {
      if (row % 8 * 4 + k % 8 / 2 != lane) continue;
      a_registers[row / 8 + 2 * (k / 8)] |= BitsOf(a[row * 16 + k]) << 16 * (k % 2);
    }
    for (int column = 0; column < 8; ++column) {
      if (column * 4 + k % 8 / 2 != lane) continue;
      b_registers[k / 8] |= BitsOf(b[k * 8 + column]) << 16 * (k % 2);
    }
  }
  const auto place = [lane](int i) { return (lane / 4 + i / 2 * 8) * 8 + lane % 4 * 2 + i % 2; };
  for (int i = 0; i < 4; ++i) d_registers[i] = d[place(i)];
  Mma<T>(d_registers, a_registers, b_registers[0], b_registers[1]);
  for (int i = 0; i < 4; ++i) d[place(i)] = d_registers[i];
}

struct MmaCase {
  std::vector<float> a, b, d;
};

// Small integers: every order of summation is exact, truncated or not.
MmaCase Integers() {
  std::mt19937 random(1);
  MmaCase c{std::vector<float>(256), std::vector<float>(128), std::vector<float>(128)};
  for (auto* values : {&c.a, &c.b, &c.d}) {
    for (float& value : *values) value = static_cast<float>(static_cast<int>(random() % 33) - 16);
  }
  return c;
}

template <class T>
std::vector<float> RunMma(const MmaCase& c) {
  std::vector<T> a, b;
  for (const float value : c.a) a.push_back(Rounded<T>(value));
  for (const float value : c.b) b.push_back(Rounded<T>(value));
  const DeviceArray<T> device_a(a), device_b(b);
  const DeviceArray<float> device_d(c.d);
  LONGROPE_CUDA_CHECK(
      Launch(MmaProbe<T>, 1, 32, 0, nullptr, device_d.data(), device_a.data(), device_b.data()));
  return device_d.Get();
}

template <class T>
class StandInMma : public stand_in::StandInTest {};
using MmaTypes = ::testing::Types<__nv_bfloat16, __half>;
TYPED_TEST_SUITE(StandInMma, MmaTypes);

TYPED_TEST(StandInMma, MultipliesMatrices) {
  const MmaCase c = Integers();
  for (const TensorCore core : {TensorCore::kExact, TensorCore::kTruncating}) {
    stand_in::Reset({.tensor_core = core});
    const std::vector<float> d = RunMma<TypeParam>(c);
    for (size_t row = 0; row < 16; ++row) {
      for (size_t column = 0; column < 8; ++column) {
        double want = c.d[row * 8 + column];
        for (size_t k = 0; k < 16; ++k) want += double{c.a[row * 16 + k]} * c.b[k * 8 + column];
        EXPECT_EQ(d[row * 8 + column], want) << row << ", " << column;
      }
    }
  }
}

TYPED_TEST(StandInMma, TruncatesWhereAskedTo) {
  // 1 - 2^-9 to 1 / 16 in 16 places: 1 + 15 x 2^-24, which an f32 sum rounds and a tensor core
  // cuts.
  MmaCase c{std::vector<float>(256), std::vector<float>(128), std::vector<float>(128)};
  c.a[0] = c.b[0] = 1;
  for (size_t k = 1; k < 16; ++k) {
    c.a[k] = 0x1.8p-12f;
    c.b[k * 8] = 0x1p-12f;
  }
  EXPECT_GT(RunMma<TypeParam>(c)[0], 1.0f);
  stand_in::Reset({.tensor_core = TensorCore::kTruncating});
  EXPECT_EQ(RunMma<TypeParam>(c)[0], 1.0f);
}

class StandInInstructions : public stand_in::StandInTest {};

// 32 rows of 8 elements, numbered; lane l gives row 31 - l.
__global__ void LoadMatrixProbe(uint32_t* plain, uint32_t* transposed) {
  auto* tile = SharedMemory<uint16_t>();
  const unsigned lane = threadIdx.x;
  for (unsigned i = 0; i < 8; ++i) tile[lane * 8 + i] = static_cast<uint16_t>(lane * 8 + i);
  __syncwarp();
  uint32_t r[4], s[4];
  LoadMatrix4(r, tile + (31 - lane) * 8);
  LoadMatrix4Trans(s, tile + (31 - lane) * 8);
  for (unsigned i = 0; i < 4; ++i) plain[lane * 4 + i] = r[i];
  for (unsigned i = 0; i < 4; ++i) transposed[lane * 4 + i] = s[i];
}

TEST_F(StandInInstructions, LoadMatrixGivesEachLaneItsElements) {
  const DeviceArray<uint32_t> plain(128), transposed(128);
  LONGROPE_CUDA_CHECK(
      Launch(LoadMatrixProbe, 1, 32, 512, nullptr, plain.data(), transposed.data()));
  const auto r = plain.Get(), s = transposed.Get();
  // Element (row, column) of matrix i: half column % 2 of register i of lane 4 row + column / 2;
  // transposed, of element (column, row).
  for (uint32_t i = 0; i < 4; ++i) {
    for (uint32_t row = 0; row < 8; ++row) {
      for (uint32_t column = 0; column < 8; ++column) {
        const uint32_t value = (31 - (8 * i + row)) * 8 + column;
        const auto half = [i](const std::vector<uint32_t>& registers, uint32_t a, uint32_t b) {
          return registers[(4 * a + b / 2) * 4 + i] >> 16 * (b % 2) & 0xffff;
        };
        EXPECT_EQ(half(r, row, column), value);
        EXPECT_EQ(half(s, column, row), value);
      }
    }
  }
}

// Rows `stride` bytes apart.
__global__ void StridedLoad(int stride) {
  uint32_t r[4];
  LoadMatrix4(r, SharedMemory<unsigned char>() + static_cast<int>(threadIdx.x) * stride);
}

TEST_F(StandInInstructions, BankConflictsAreCounted) {
  LONGROPE_CUDA_CHECK(Launch(StridedLoad, 1, 32, 32 * 16, nullptr, 16));
  cudaDeviceSynchronize();
  EXPECT_EQ(stand_in::Counts(0).bank_conflicts, 0);
  LONGROPE_CUDA_CHECK(
      Launch(StridedLoad, 1, 32, 32 * 128, nullptr, 128));  // all rows in the same banks
  cudaDeviceSynchronize();
  EXPECT_EQ(stand_in::Counts(0).bank_conflicts, 4 * 7);
}

// Three groups of one copy each, of 16, 6 and 0 bytes. seen[i]: the targets while at most 2 - i
// groups are under way.
__global__ void CopyProbe(uint16_t* seen, const uint16_t* source) {
  auto* target = SharedMemory<uint16_t>();
  for (int i = 0; i < 24; ++i) target[i] = 7;
  CopyAsync16(target, source, 16);
  CopyCommit();
  CopyAsync16(target + 8, source + 8, 6);
  CopyCommit();
  CopyAsync16(target + 16, source + 16, 0);
  CopyCommit();
  CopyWait<2>();
  for (int i = 0; i < 24; ++i) seen[i] = target[i];
  CopyWait<1>();
  for (int i = 0; i < 24; ++i) seen[24 + i] = target[i];
  CopyWait<0>();
  for (int i = 0; i < 24; ++i) seen[48 + i] = target[i];
}

TEST_F(StandInInstructions, CopiesArriveWhenTheyAreWaitedFor) {
  std::vector<uint16_t> source(24);
  for (size_t i = 0; i < 24; ++i) source[i] = static_cast<uint16_t>(100 + i);
  const DeviceArray<uint16_t> device_source(source), device_seen(72);
  LONGROPE_CUDA_CHECK(
      Launch(CopyProbe, 1, 1, 48, nullptr, device_seen.data(), device_source.data()));
  const auto seen = device_seen.Get();
  for (size_t wait = 0; wait < 3; ++wait) {
    for (size_t i = 0; i < 24; ++i) {
      const size_t copy = i / 8;
      const bool copied = copy == 0 || (copy == 1 && i < 11);
      const size_t want = copy > wait ? 0xffff : copied ? 100 + i : 0;
      EXPECT_EQ(seen[wait * 24 + i], want) << wait << ", " << i;
    }
  }
}

__global__ void ShuffleProbe(float* out) {
  const auto lane = static_cast<int>(threadIdx.x);
  const auto value = static_cast<float>(lane);
  out[lane] = __shfl_xor_sync(~0u, value, 5);
  out[32 + lane] = __shfl_sync(~0u, value, 7);
  out[64 + lane] = __shfl_sync(~0u, value, 3, 8);
  if (lane < 16) out[96 + lane] = __shfl_xor_sync(0xffffu, value, 8);
}

TEST_F(StandInInstructions, Shuffles) {
  for (const auto order : stand_in::kThreadOrders) {
    stand_in::Reorder(order, stand_in::StreamOrder::kLate);
    const DeviceArray<float> out(112);
    LONGROPE_CUDA_CHECK(Launch(ShuffleProbe, 1, 32, 0, nullptr, out.data()));
    const auto values = out.Get();
    for (size_t lane = 0; lane < 32; ++lane) {
      EXPECT_EQ(values[lane], static_cast<float>(lane ^ 5));
      EXPECT_EQ(values[32 + lane], 7.0f);
      EXPECT_EQ(values[64 + lane], static_cast<float>(lane / 8 * 8 + 3));
    }
    for (size_t lane = 0; lane < 16; ++lane) {
      EXPECT_EQ(values[96 + lane], static_cast<float>(lane ^ 8));
    }
  }
}

TEST_F(StandInInstructions, Exp2FlushesToZero) {
  EXPECT_EQ(Exp2(-INFINITY), 0.0f);
  EXPECT_EQ(Exp2(-127.0f), 0.0f);
  EXPECT_EQ(Exp2(-126.0f), 0x1p-126f);
  EXPECT_EQ(Exp2(3.0f), 8.0f);
  EXPECT_EQ(InverseSquareRoot(4.0f), 0.5f);
}

}  // namespace
}  // namespace longrope::cuda
