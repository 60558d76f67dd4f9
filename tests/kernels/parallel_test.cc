#include "kernels/parallel.h"

#include <gtest/gtest.h>

#include <atomic>
#include <stdexcept>
#include <vector>

namespace longrope {
namespace {

TEST(ParallelFor, CallsEveryIndexOnceOnWorkersInRange) {
  for (int threads : {1, 2, 5}) {
    std::vector<std::atomic<int>> calls(1000);
    std::atomic<bool> in_range = true;
    ParallelFor(1000, threads, [&](int64_t index, int worker) {
      ++calls[static_cast<size_t>(index)];
      if (worker < 0 || worker >= threads) in_range = false;
    });
    for (const auto& count : calls) EXPECT_EQ(count, 1);
    EXPECT_TRUE(in_range);
  }
}

TEST(ParallelFor, ThrowsWhatItsBodyThrew) {
  for (int threads : {1, 3}) {
    EXPECT_THROW(ParallelFor(100, threads,
                             [](int64_t index, int) {
                               if (index == 57) throw std::out_of_range("57");
                             }),
                 std::out_of_range);
  }
  ParallelFor(0, 2, [](int64_t, int) { FAIL(); });
}

}  // namespace
}  // namespace longrope
