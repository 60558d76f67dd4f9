// The twin of cuBLAS against double, and what it refuses.
#include <cmath>
#include <random>

#include "kernels/cuda/device.h"
#include "tests/cuda/stand_in/fixture.h"
#include "tests/support/compare.h"

namespace longrope::cuda {
namespace {

using longrope::testing::Close;
using stand_in::DeviceArray;

class StandInBlas : public stand_in::StandInTest {
 protected:
  StandInBlas() { LONGROPE_CUDA_CHECK(cublasCreate(&handle_)); }
  void TearDown() override {
    LONGROPE_CUDA_CHECK(cublasDestroy(handle_));
    StandInTest::TearDown();
  }

  // A product of f32 over memory of `size` elements, with one thing changed by `change`.
  struct Call {
    cublasOperation_t a_operation = CUBLAS_OP_N, b_operation = CUBLAS_OP_N;
    int m = 4, n = 4, k = 4, lda = 4, ldb = 4, ldc = 4;
    cudaDataType a_type = CUDA_R_32F, b_type = CUDA_R_32F, c_type = CUDA_R_32F;
    cublasComputeType_t compute = CUBLAS_COMPUTE_32F;
    void *a, *b, *c;
    float alpha = 1, beta = 0;
  };
  cublasStatus_t Multiply(const Call& call) {
    return cublasGemmEx(handle_, call.a_operation, call.b_operation, call.m, call.n, call.k,
                        &call.alpha, call.a, call.a_type, call.lda, call.b, call.b_type, call.ldb,
                        &call.beta, call.c, call.c_type, call.ldc, call.compute,
                        CUBLAS_GEMM_DEFAULT);
  }

  cublasHandle_t handle_ = nullptr;
};

template <class T>
constexpr cudaDataType kType = std::is_same_v<T, float>    ? CUDA_R_32F
                               : std::is_same_v<T, __half> ? CUDA_R_16F
                                                           : CUDA_R_16BF;
template <class T>
T Rounded(float value) {
  if constexpr (std::is_same_v<T, float>) return value;
  if constexpr (std::is_same_v<T, __half>) return __float2half_rn(value);
  if constexpr (std::is_same_v<T, __nv_bfloat16>) return __float2bfloat16_rn(value);
}

template <class T>
std::vector<T> Random(size_t size, uint32_t seed) {
  std::mt19937 random(seed);
  std::normal_distribution<float> normal;
  std::vector<T> values(size);
  for (T& value : values) value = Rounded<T>(normal(random));
  return values;
}

template <class InOut>
class StandInProduct : public StandInBlas {};
template <class In, class Out>
struct InOut {
  using A = In;
  using C = Out;
};
using ProductTypes =
    ::testing::Types<InOut<float, float>, InOut<__half, __half>, InOut<__half, float>,
                     InOut<__nv_bfloat16, __nv_bfloat16>, InOut<__nv_bfloat16, float>>;
TYPED_TEST_SUITE(StandInProduct, ProductTypes);

TYPED_TEST(StandInProduct, AgreesWithDouble) {
  using In = typename TypeParam::A;
  using Out = typename TypeParam::C;
  const int m = 7, n = 5, k = 33;
  for (const bool a_transposed : {false, true}) {
    for (const bool b_transposed : {false, true}) {
      for (const float beta : {0.0f, 0.5f}) {
        const int lda = (a_transposed ? k : m) + 3, ldb = (b_transposed ? n : k) + 1, ldc = m + 2;
        const auto a = Random<In>(static_cast<size_t>(lda * (a_transposed ? m : k)), 1);
        const auto b = Random<In>(static_cast<size_t>(ldb * (b_transposed ? k : n)), 2);
        const auto c = Random<Out>(static_cast<size_t>(ldc * n), 3);
        const DeviceArray<In> device_a(a), device_b(b);
        const DeviceArray<Out> device_c(c);
        typename StandInBlas::Call call{.a_operation = a_transposed ? CUBLAS_OP_T : CUBLAS_OP_N,
                                        .b_operation = b_transposed ? CUBLAS_OP_T : CUBLAS_OP_N,
                                        .m = m,
                                        .n = n,
                                        .k = k,
                                        .lda = lda,
                                        .ldb = ldb,
                                        .ldc = ldc,
                                        .a_type = kType<In>,
                                        .b_type = kType<In>,
                                        .c_type = kType<Out>,
                                        .a = device_a.data(),
                                        .b = device_b.data(),
                                        .c = device_c.data(),
                                        .alpha = 2,
                                        .beta = beta};
        ASSERT_EQ(this->Multiply(call), CUBLAS_STATUS_SUCCESS);
        const auto got = device_c.Get();
        const auto at = [](int i) { return static_cast<size_t>(i); };
        for (int column = 0; column < n; ++column) {
          for (int row = 0; row < ldc; ++row) {
            const double before = static_cast<float>(c[at(column * ldc + row)]);
            double want = before;
            double size = 0;
            if (row < m) {
              want = 0;
              for (int i = 0; i < k; ++i) {
                const double x =
                    static_cast<float>(a[at(a_transposed ? row * lda + i : i * lda + row)]);
                const double y =
                    static_cast<float>(b[at(b_transposed ? i * ldb + column : column * ldb + i)]);
                want += 2 * x * y;
                size += 2 * std::abs(x * y);
              }
              want += double{beta} * before;
            }
            const double rounding = std::is_same_v<Out, float>    ? 0
                                    : std::is_same_v<Out, __half> ? 0x1p-11
                                                                  : 0x1p-8;
            EXPECT_TRUE(Close(static_cast<float>(got[at(column * ldc + row)]), want,
                              size * 0x1p-18 + std::abs(want) * rounding));
          }
        }
      }
    }
  }
  EXPECT_EQ(stand_in::Counts(0).products, 8);
}

TEST_F(StandInBlas, RunsInTheOrderOfItsStream) {
  cudaStream_t stream;
  cudaStreamCreateWithFlags(&stream, cudaStreamNonBlocking);
  LONGROPE_CUDA_CHECK(cublasSetStream(handle_, stream));
  {
    const DeviceArray<float> a(16), b(std::vector<float>(16, 1.0f)), c(16);  // beta 0: c is NaN
    float* staging = nullptr;
    cudaMallocHost(reinterpret_cast<void**>(&staging), 64);
    cudaMemcpyAsync(a.data(), staging, 64, cudaMemcpyHostToDevice, stream);
    ASSERT_EQ(Multiply({.a = a.data(), .b = b.data(), .c = c.data()}), CUBLAS_STATUS_SUCCESS);
    for (int i = 0; i < 16; ++i) staging[i] = 2;
    EXPECT_EQ(stand_in::Counts(0).products, 0);
    EXPECT_EQ(c.Get(), std::vector<float>(16, 8.0f));
    cudaFreeHost(staging);
  }
  cudaStreamDestroy(stream);
}

TEST_F(StandInBlas, SumsMayDependOnTheShape) {
  const auto a = Random<float>(64 * 1024, 1), b = Random<float>(1024, 2);
  const auto row = [&](int m, stand_in::ProductSums sums) {
    stand_in::Reset({.product_sums = sums});
    LONGROPE_CUDA_CHECK(cublasCreate(&handle_));
    const DeviceArray<float> device_a(a), device_b(b), c(64);
    EXPECT_EQ(Multiply({.a_operation = CUBLAS_OP_T,
                        .m = m,
                        .n = 1,
                        .k = 1024,
                        .lda = 1024,
                        .ldb = 1024,
                        .ldc = m,
                        .a = device_a.data(),
                        .b = device_b.data(),
                        .c = c.data()}),
              CUBLAS_STATUS_SUCCESS);
    return c.Get()[0];
  };
  EXPECT_EQ(row(1, stand_in::ProductSums::kAscending), row(6, stand_in::ProductSums::kAscending));
  EXPECT_NE(row(1, stand_in::ProductSums::kByShape), row(6, stand_in::ProductSums::kByShape));
}

TEST_F(StandInBlas, RefusesArguments) {
  const DeviceArray<float> a(16), b(16), c(16);
  const auto status = [&](auto change) {
    Call call{.a = a.data(), .b = b.data(), .c = c.data()};
    change(call);
    return Multiply(call);
  };
  EXPECT_EQ(status([](Call&) {}), CUBLAS_STATUS_SUCCESS);
  EXPECT_EQ(status([](Call& call) { call.m = -1; }), CUBLAS_STATUS_INVALID_VALUE);
  EXPECT_EQ(status([](Call& call) { call.lda = 3; }), CUBLAS_STATUS_INVALID_VALUE);
  EXPECT_EQ(status([](Call& call) { call.ldb = 3; }), CUBLAS_STATUS_INVALID_VALUE);
  EXPECT_EQ(status([](Call& call) { call.ldc = 3; }), CUBLAS_STATUS_INVALID_VALUE);
  EXPECT_EQ(status([](Call& call) { call.a_operation = CUBLAS_OP_C; }),
            CUBLAS_STATUS_INVALID_VALUE);
  EXPECT_EQ(status([](Call& call) { call.a_type = CUDA_R_16F; }), CUBLAS_STATUS_NOT_SUPPORTED);
  EXPECT_EQ(status([](Call& call) { call.c_type = CUDA_R_16F; }), CUBLAS_STATUS_NOT_SUPPORTED);
  EXPECT_EQ(status([](Call& call) { call.a_type = call.b_type = CUDA_R_64F; }),
            CUBLAS_STATUS_NOT_SUPPORTED);
  EXPECT_EQ(status([](Call& call) { call.compute = CUBLAS_COMPUTE_16F; }),
            CUBLAS_STATUS_NOT_SUPPORTED);
  EXPECT_EQ(cublasGemmEx(nullptr, CUBLAS_OP_N, CUBLAS_OP_N, 1, 1, 1, nullptr, nullptr, CUDA_R_32F,
                         1, nullptr, CUDA_R_32F, 1, nullptr, nullptr, CUDA_R_32F, 1,
                         CUBLAS_COMPUTE_32F, CUBLAS_GEMM_DEFAULT),
            CUBLAS_STATUS_NOT_INITIALIZED);
  EXPECT_THROW(LONGROPE_CUDA_CHECK(status([](Call& call) { call.m = -1; })), DeviceError);
}

TEST_F(StandInBlas, NoticesWhatTheLibraryWouldNot) {
  const DeviceArray<float> a(16), b(16), c(16);
  std::vector<float> host(16);
  const auto multiply = [&](auto change) {
    Call call{.a = a.data(), .b = b.data(), .c = c.data()};
    change(call);
    Multiply(call);
  };
  EXPECT_FAULT(multiply([](Call& call) { call.lda = 5; }), "A: its 76 bytes");
  EXPECT_FAULT(multiply([&](Call& call) { call.b = b.data() + 1; }), "B: its 64 bytes");
  EXPECT_FAULT(multiply([&](Call& call) { call.c = host.data(); }), "C: its 64 bytes");
  EXPECT_FAULT(multiply([&](Call& call) { call.a = reinterpret_cast<char*>(a.data()) + 2; }),
               "boundary");
  EXPECT_FAULT(multiply([](Call& call) { call.compute = CUBLAS_COMPUTE_32F_FAST_TF32; }), "TF32");
  LONGROPE_CUDA_CHECK(cublasSetMathMode(handle_, CUBLAS_TF32_TENSOR_OP_MATH));
  EXPECT_FAULT(multiply([](Call&) {}), "TF32");
  LONGROPE_CUDA_CHECK(cublasSetMathMode(handle_, CUBLAS_DEFAULT_MATH));
  {
    const DeviceArray<float> workspace(256);
    EXPECT_EQ(cublasSetWorkspace(handle_, workspace.data() + 1, 64), CUBLAS_STATUS_INVALID_VALUE);
    EXPECT_THROW(cublasSetWorkspace(handle_, workspace.data(), 1025), stand_in::Fault);
    LONGROPE_CUDA_CHECK(cublasSetWorkspace(handle_, workspace.data(), 1024));
    multiply([](Call&) {});
  }
  EXPECT_FAULT(multiply([](Call&) {}), "workspace");
  LONGROPE_CUDA_CHECK(cublasSetStream(handle_, nullptr));  // gives the library its own again
  multiply([](Call&) {});
}

}  // namespace
}  // namespace longrope::cuda
