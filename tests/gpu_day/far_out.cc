#include "tests/gpu_day/far_out.h"

#include <cmath>
#include <cstdio>

#include "kernels/cuda/ops.h"
#include "tests/gpu_day/fill.h"

namespace longrope::gpu_day {
namespace {

using T = __nv_bfloat16;
constexpr int kRows = 130, kDim = 128;

// Largest difference of the kernels' elements, in units of what rounding may cost. Both take
// average values below 1, the tensor cores with weights rounded to bf16.
double WorstDifference(int first, int kv_heads, int window) {
  const cuda::Stream stream;
  const int64_t length = int64_t{first} + kRows, width = int64_t{kv_heads} * kDim;
  const cuda::DeviceArray<T> q(kRows * width), k(length * width), v(length * width),
      tensor(kRows * width), plain(kRows * width);
  FillRandom(q.get(), kRows * width, 1);
  FillRandom(k.get(), length * width, 2);
  FillRandom(v.get(), length * width, 3);
  // Longer keys have scores further from 0: the rows see little but some of these.
  FillRandom(k.get() + (length - 2 * kRows) * width, 2 * kRows * width, 4, 30);
  cuda::AttentionArguments<T> arguments = {tensor.get(), q.get(), k.get(),  v.get(),  kRows,
                                           first,        window,  kv_heads, kv_heads, kDim};
  cuda::AttendTensor(arguments, stream.get());
  arguments.out = plain.get();
  cuda::AttendPlain(arguments, stream.get());
  const auto got = testing::FromDevice(tensor, kRows * width, stream);
  const auto expected = testing::FromDevice(plain, kRows * width, stream);
  double worst = 0;
  for (size_t i = 0; i < got.size(); ++i) {
    const double off = std::abs(testing::ToDouble(got[i]) - testing::ToDouble(expected[i]));
    const double share = off / (3 * testing::kRounding<T>);
    worst = std::isnan(worst) || share <= worst ? worst : share;  // a NaN counts
  }
  return worst;
}

}  // namespace

int CompareFarOut(bool small) {
  const int first = small ? 3000 : 2'097'152 + 4096, kv_heads = small ? 1 : 8;
  std::printf(
      "\n## Attention of rows after %d others\n\n| window | worst difference of the two kernels, "
      "of allowed |\n|---:|---:|\n",
      first);
  size_t free = 0, total = 0;
  LONGROPE_CUDA_CHECK(cudaMemGetInfo(&free, &total));
  const size_t needed =
      2 * static_cast<size_t>(first + kRows) * static_cast<size_t>(kv_heads) * kDim * sizeof(T);
  if (free < needed + needed / 10) {
    std::printf("| - | not run: it takes %.1f GB |\n", static_cast<double>(needed) / 1e9);
    return 0;
  }
  int wrong = 0;
  for (const int window : {0, 4096}) {
    const double worst = WorstDifference(first, kv_heads, window);
    std::printf("| %d | %.3f |\n", window, worst);
    wrong += worst <= 1 ? 0 : 1;
  }
  return wrong;
}

}  // namespace longrope::gpu_day
