// What the program does with and without a CUDA device.
#include "kernels/cuda/cuda_engine.h"
#include "tests/integration/program.h"

namespace longrope {
namespace {

using testing::Output;

Output EvalOn(const std::string& backend) {
  return testing::RunProcess(
      testing::Longrope({"eval", "--model", testing::Tiny(), "--text", testing::Passage(),
                         "--lengths", "64", "--backend", backend}));
}

TEST(Backend, AutoTakesTheDeviceOrSaysWhyItIsTheCpu) {
  const Output output = EvalOn("auto");
  ASSERT_EQ(output.code, 0) << output.err;
  const CudaDevices devices = FindCudaDevices();
  const std::string expected = !devices.usable.empty()
                                   ? "engine cuda/bf16/"
                                   : "info: backend auto: the CPU (" + devices.why_none + ")\n";
  EXPECT_NE(output.err.find(expected), std::string::npos) << output.err;
}

TEST(Backend, CudaWithoutADeviceIsOneLine) {
  if (!FindCudaDevices().usable.empty()) GTEST_SKIP() << "there is a device";
  testing::ExpectRefused(EvalOn("cuda"), {"backend cuda: ", FindCudaDevices().why_none,
                                          "allowed here: auto, reference"});
}

TEST(Backend, TheReferenceNeedsNoWord) {
  const Output output = EvalOn("reference");
  ASSERT_EQ(output.code, 0) << output.err;
  EXPECT_EQ(output.err.find("backend"), std::string::npos) << output.err;
}

}  // namespace
}  // namespace longrope
