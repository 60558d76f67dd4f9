// The memory account against what a process really takes, at a size where it matters.
#include <sys/wait.h>
#include <unistd.h>

#include <cmath>
#include <cstdio>
#include <fstream>

#include "eval/forward.h"
#include "eval/rope_builder.h"
#include "kernels/reference/reference_engine.h"
#include "tests/integration/program.h"
#include "tests/support/random_weights.h"

namespace longrope {
namespace {

using testing::SmolLm2Shape;

constexpr int64_t kLong = 65536;  // tokens
constexpr double kMegabyte = 1e6;

ForwardNeeds Needs(int layers, int64_t tokens) {
  return {SmolLm2Shape(layers), DType::kBF16, {64, 100000, 8192}, tokens};
}

// A line of /proc/self/status, in bytes.
double StatusBytes(const std::string& key) {
  std::ifstream status("/proc/self/status");
  for (std::string line; std::getline(status, line);) {
    if (line.starts_with(key + ":")) return 1024 * std::stod(line.substr(key.size() + 1));
  }
  return -1;
}

// Scores tokens layer by layer; returns by how many bytes the process grew at most.
double MeasuredPeak(const Engine& engine, const WeightSource& weights, int64_t count) {
  const ForwardNeeds needs = Needs(2, count);
  const ForwardPlan plan = PlanScope(engine, needs, KvScope::kOneLayer);
  const double before = StatusBytes("VmRSS");
  std::ofstream("/proc/self/clear_refs") << "5";  // resets the peak
  std::vector<int32_t> tokens(static_cast<size_t>(count));
  for (size_t i = 0; i < tokens.size(); ++i) {
    tokens[i] = static_cast<int32_t>(i * 7919 % 49152);
  }
  const auto model = engine.Bind(needs.shape, weights, INT64_MAX);
  const RopeFactors factors{std::vector<float>(32, 8.0f), 4, 1.1};
  const RopeTable table = BuildRopeTable(factors, needs.rope, count, engine.Threads());
  // The last block alone is scored: the head takes memory for one block, whatever it scores.
  std::vector<uint8_t> scored(tokens.size());
  std::fill(scored.end() - 100, scored.end(), uint8_t{1});
  const auto nats = TokenNats(*model, needs.shape, plan, tokens, table, std::stop_token(), scored);
  if (!nats || !std::isfinite(nats->back()) || nats->back() <= 0) return -1;
  return StatusBytes("VmHWM") - before;
}

void ExpectPeakAsTheAccountSays(int64_t tokens) {
  int ends[2];
  ASSERT_EQ(::pipe(ends), 0);
  const pid_t child = ::fork();  // a process of its own: the peak is nobody else's
  if (child == 0) {
    const testing::RandomWeights weights(SmolLm2Shape(2),
                                         {.seed = 1, .dtype = DType::kBF16, .scale = 0.04});
    const double peak = MeasuredPeak(*MakeReferenceEngine<float>({}), weights, tokens);
    ::_exit(::write(ends[1], &peak, sizeof peak) == sizeof peak ? 0 : 1);
  }
  double peak = 0;
  ASSERT_EQ(::read(ends[0], &peak, sizeof peak), static_cast<ssize_t>(sizeof peak));
  ::close(ends[0]);
  ::close(ends[1]);
  ::waitpid(child, nullptr, 0);
  const auto engine = MakeReferenceEngine<float>({});
  const auto account =
      static_cast<double>(PlanScope(*engine, Needs(2, tokens), KvScope::kOneLayer).account.Total());
  std::printf("peak %.0f MB, account %.0f MB\n", peak / kMegabyte, account / kMegabyte);
  EXPECT_GT(peak, 0.95 * account);
  EXPECT_LT(peak, 1.05 * account);
}

TEST(MemoryAccount, IsThePeakOfAProcessThatScores8192TokensLayerByLayer) {
  ExpectPeakAsTheAccountSays(8192);
}

TEST(SlowMemoryAccount, IsThePeakOfAProcessThatScores65536TokensLayerByLayer) {
  ExpectPeakAsTheAccountSays(kLong);
}

TEST(MemoryAccount, AllThirtyLayersOf65536TokensStayUnder4GB) {
  const auto engine = MakeReferenceEngine<float>({.threads = 2});
  const ForwardPlan layers = PlanScope(*engine, Needs(30, kLong), KvScope::kOneLayer);
  const ForwardPlan chunks = PlanScope(*engine, Needs(30, kLong), KvScope::kAllLayers);
  std::printf("layer by layer: %s\nchunk by chunk: %s\n", layers.account.Text().c_str(),
              chunks.account.Text().c_str());
  EXPECT_LT(layers.account.Total(), 4'000'000'000);
  // The account chooses the walk.
  EXPECT_EQ(PlanForward(*engine, Needs(30, kLong), chunks.account.Total()).scope,
            KvScope::kAllLayers);
  EXPECT_EQ(PlanForward(*engine, Needs(30, kLong), chunks.account.Total() - 1).scope,
            KvScope::kOneLayer);
}

}  // namespace
}  // namespace longrope
