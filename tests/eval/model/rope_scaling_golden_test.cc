// Scaled configs against what transformers makes of them (tests/golden/transformers,
// make_rope_scaling_golden.py): frequencies, m and losses by length.
#include <gtest/gtest.h>

#include <cmath>
#include <fstream>
#include <nlohmann/json.hpp>

#include "eval/backend.h"
#include "eval/model/model_folder.h"
#include "eval/scorer.h"
#include "tests/support/compare.h"
#include "tests/support/temp_folder.h"

namespace longrope {
namespace {

using nlohmann::json;
using testing::CloseRelative;
using testing::SourcePath;

constexpr double kNats = 1e-5, kFrequency = 2e-6;  // relative; transformers computes in float32

json Read(const std::string& path) { return json::parse(std::ifstream(SourcePath(path))); }

json Golden(const char* name) { return Read(std::string("tests/golden/transformers/") + name); }

// data/tiny with other keys laid over its config; a null removes one.
class ScaledModel {
 public:
  explicit ScaledModel(const json& over) {
    json config = Read("data/tiny/config.json");
    config.merge_patch(over);
    testing::WriteFile(folder_.path() / "config.json", config.dump());
    std::filesystem::create_symlink(SourcePath("data/tiny/model.safetensors"),
                                    folder_.path() / "model.safetensors");
    model_.emplace(folder_.path(), ConfigOverrides{});
  }
  const ModelFolder& operator*() const { return *model_; }
  const ModelConfig& config() const { return model_->config(); }

 private:
  testing::TempFolder folder_;
  std::optional<ModelFolder> model_;
};

class RopeScalingGolden : public ::testing::TestWithParam<int> {};

TEST_P(RopeScalingGolden, EqualsTransformers) {
  const json golden = Golden("rope_scaling.json");
  const json& one = golden.at("cases").at(static_cast<size_t>(GetParam()));
  SCOPED_TRACE(one.at("name"));
  const ScaledModel model(one.at("config"));
  ASSERT_TRUE(model.config().own_factors);
  const auto ids = Golden("tiny.json").at("ids").get<std::vector<int32_t>>();
  const auto engine = MakeEngine({.name = "reference", .threads = 2});
  const Scorer scorer(*engine, *model, {});
  for (const json& result : one.at("results")) {
    const auto length = result.at("length").get<size_t>();
    const RopeFactors factors = model.config().own_factors->For(static_cast<int64_t>(length));
    EXPECT_TRUE(CloseRelative(factors.attention_factor, result.at("attention_scaling"), 1e-7))
        << length;
    const auto frequencies = result.at("inv_freq").get<std::vector<double>>();
    ASSERT_EQ(frequencies.size(), factors.lambda.size());
    for (size_t i = 0; i < frequencies.size(); ++i) {
      const double own = std::pow(model.config().rope_base, -2.0 * static_cast<double>(i) / 64) /
                         double{factors.lambda[i]};
      EXPECT_TRUE(CloseRelative(own, frequencies[i], kFrequency)) << length << " pair " << i;
    }
    const auto score = scorer.ScoreTokens(std::span(ids).first(length), factors);
    ASSERT_TRUE(score);
    EXPECT_TRUE(CloseRelative(score->nats, result.at("nats"), kNats)) << length;
  }
}

INSTANTIATE_TEST_SUITE_P(Cases, RopeScalingGolden, ::testing::Range(0, 14));

TEST(RopeScalingGolden, AllCasesAreTaken) {
  EXPECT_EQ(Golden("rope_scaling.json").at("cases").size(), 14u);
}

// Each case tells its rotation from a plain one, so that one that is ignored would be seen.
TEST(RopeScalingGolden, APlainRotationIsMissedByFar) {
  const json golden = Golden("rope_scaling.json");
  const auto ids = Golden("tiny.json").at("ids").get<std::vector<int32_t>>();
  const auto engine = MakeEngine({.name = "reference", .threads = 2});
  for (const json& one : golden.at("cases")) {
    const ScaledModel model(one.at("config"));
    const Scorer scorer(*engine, *model, {});
    const json& longest = one.at("results").at(3);  // 600 tokens
    const auto score = scorer.ScoreTokens(std::span(ids).first(longest.at("length").get<size_t>()),
                                          {std::vector<float>(32, 1.0f), 0, 1});
    const double expected = longest.at("nats");
    EXPECT_GT(std::abs(score->nats - expected), 100 * kNats * expected) << one.at("name");
  }
}

}  // namespace
}  // namespace longrope
