// Perplexity in a sliding window against transformers (tests/golden/transformers).
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "eval/backend.h"
#include "eval/model/model_folder.h"
#include "eval/protocols/sliding_window.h"
#include "eval/scorer.h"
#include "tests/support/compare.h"
#include "tests/support/temp_folder.h"

namespace longrope {
namespace {

using nlohmann::json;
using testing::CloseRelative;
using testing::SlurpFile;
using testing::SourcePath;

json Golden(const std::string& name) {
  return json::parse(SlurpFile(SourcePath("tests/golden/transformers/" + name)));
}

TEST(SlidingWindowGolden, EveryWindowHasTheNatsOfTransformers) {
  const json golden = Golden("sliding_window.json");
  auto ids = Golden("tiny.json").at("ids").get<std::vector<int32_t>>();
  ids.resize(golden.at("tokens").get<size_t>());
  ASSERT_EQ(ids.size(), 700u);
  const auto engine = MakeEngine({.name = "reference", .threads = 2});
  const ModelFolder folder(SourcePath("data/tiny"), {});
  const Scorer scorer(*engine, folder, {});
  const RopeFactors plain{std::vector<float>(32, 1.0f), 0, 1};
  const RopeFactors longrope{golden.at("lambda").get<std::vector<float>>(), 0,
                             golden.at("attention_factor").get<double>()};
  ASSERT_EQ(golden.at("cases").size(), 5u);
  for (const json& one : golden.at("cases")) {
    const SlidingWindow options{one.at("window"), one.at("stride")};
    SCOPED_TRACE(::testing::Message() << one.at("name") << ", window " << options.window
                                      << ", stride " << options.stride);
    const auto score = [&](auto tokens, auto scored) {
      return scorer.ScoreTokens(tokens, one.at("name") == "none" ? plain : longrope, {}, scored);
    };
    const auto windows = WindowsOver(700, options);
    ASSERT_EQ(windows.size(), one.at("windows").size());
    for (size_t i = 0; i < windows.size(); ++i) {
      const auto& [begin, first, end] = windows[i];
      EXPECT_EQ(json({begin, first, end}), one.at("windows")[i]);
      const Score part = *ScoreWindow(ids, windows[i], score);
      EXPECT_EQ(part.tokens, end - first);
      EXPECT_TRUE(CloseRelative(part.nats, one.at("nats")[i], 2e-5)) << "window " << i;
    }
    const Score total = *ScoreInWindows(ids, options, score);
    EXPECT_EQ(total.tokens, one.at("tokens"));
    EXPECT_TRUE(CloseRelative(total.nats, one.at("total_nats"), 1e-5));
    RecordProperty(one.at("name").get<std::string>() + std::to_string(options.stride),
                   std::to_string(total.nats / one.at("total_nats").get<double>() - 1));
  }
}

// 8 windows of 256 tokens, one every 64: 256 tokens, then 64 new ones each, the last one fewer.
TEST(SlidingWindowGolden, CountsAreThoseOfTheDefinition) {
  const json golden = Golden("sliding_window.json");
  for (const json& one : golden.at("cases")) {
    const int64_t window = one.at("window"), stride = one.at("stride");
    const int64_t count = (700 - window + stride - 1) / stride + 1;
    EXPECT_EQ(one.at("windows").size(), count);
    EXPECT_EQ(one.at("tokens"), stride == window ? 700 - count : 699);
  }
}

// It is no test of the protocol unless other windows give other losses.
TEST(SlidingWindowGolden, CasesLieFarApart) {
  const json golden = Golden("sliding_window.json");
  for (const json& a : golden.at("cases")) {
    for (const json& b : golden.at("cases")) {
      if (&a == &b) continue;
      const double x = a.at("total_nats").get<double>() / a.at("tokens").get<double>();
      const double y = b.at("total_nats").get<double>() / b.at("tokens").get<double>();
      EXPECT_GT(std::abs(x - y), 1e-3 * x) << a.at("name") << " and " << b.at("name");
    }
  }
}

}  // namespace
}  // namespace longrope
