#include "eval/model/model_config.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>

#include "tests/support/compare.h"
#include "tests/support/refusal.h"
#include "tests/support/small_model.h"
#include "tests/support/temp_folder.h"

namespace longrope {
namespace {

using nlohmann::json;
using testing::CloseRelative;
using ::testing::HasSubstr;
using testing::RefusalOf;
using testing::SmallConfig;
using testing::TempFolder;

ModelConfig Read(const json& config, const ConfigOverrides& overrides = {}) {
  const TempFolder folder;
  testing::WriteConfig(folder.path(), config);
  return ReadModelConfig(folder.path(), overrides);
}

std::string Refusal(const json& config, const ConfigOverrides& overrides = {}) {
  const std::string refusal = RefusalOf([&] { Read(config, overrides); });
  EXPECT_THAT(refusal, HasSubstr("/config.json: "));
  return refusal;
}

// SmallConfig with some keys changed; null takes a key away.
json Changed(const json& changes) {
  json config = SmallConfig();
  config.merge_patch(changes);
  return config;
}

json Mistral(const json& changes = json::object()) {
  json config = Changed({{"model_type", "mistral"}, {"sliding_window", 8}});
  config.merge_patch(changes);
  return config;
}

// short_factor and long_factor of two pairs, the head of SmallConfig.
json LongRope(const json& changes = json::object()) {
  json block = {
      {"rope_type", "longrope"}, {"short_factor", {1.0, 1.5}}, {"long_factor", {1.0, 8.0}}};
  block.merge_patch(changes);
  return Changed({{"rope_scaling", block},
                  {"original_max_position_embeddings", 32},
                  {"max_position_embeddings", 256}});
}

TEST(ModelConfig, ReadsAllThatTheShapeNeeds) {
  const ModelConfig model = Read(SmallConfig());
  EXPECT_EQ(model.family, "llama");
  EXPECT_EQ(model.shape.layers, 1);
  EXPECT_EQ(model.shape.hidden, 8);
  EXPECT_EQ(model.shape.heads, 2);
  EXPECT_EQ(model.shape.kv_heads, 1);
  EXPECT_EQ(model.shape.head_dim, 4);
  EXPECT_EQ(model.shape.ffn, 12);
  EXPECT_EQ(model.shape.vocab, 16);
  EXPECT_EQ(model.shape.norm_epsilon, 1e-5f);
  EXPECT_EQ(model.shape.sliding_window, 0);
  EXPECT_EQ(model.rope_base, 500);
  EXPECT_EQ(model.original_length, 32);
  EXPECT_FALSE(model.tied_head);
  EXPECT_FALSE(model.own_factors);
  EXPECT_EQ(model.Rope(), (RopeShape{4, 500, 32}));
}

TEST(ModelConfig, OptionalKeysHaveTheirDefaults) {
  const ModelConfig model = Read(Changed({{"num_key_value_heads", nullptr},
                                          {"rms_norm_eps", nullptr},
                                          {"rope_theta", nullptr},
                                          {"hidden_act", nullptr},
                                          {"tie_word_embeddings", nullptr},
                                          {"torch_dtype", nullptr}}));
  EXPECT_EQ(model.shape.kv_heads, 2);
  EXPECT_EQ(model.shape.norm_epsilon, 1e-6f);
  EXPECT_EQ(model.rope_base, 10000);
  EXPECT_FALSE(model.tied_head);
  EXPECT_EQ(model.stored, DType::kF32);
  EXPECT_EQ(Read(Changed({{"torch_dtype", "bfloat16"}})).stored, DType::kBF16);
  EXPECT_EQ(Read(Changed({{"torch_dtype", nullptr}, {"dtype", "float16"}})).stored, DType::kF16);
  EXPECT_TRUE(Read(Changed({{"tie_word_embeddings", true}})).tied_head);
}

TEST(ModelConfig, HeadSizeMayBeStated) {
  EXPECT_EQ(Read(Changed({{"head_dim", 6}})).shape.head_dim, 6);
  EXPECT_EQ(Read(Changed({{"head_dim", nullptr}})).shape.head_dim, 4);
  EXPECT_EQ(Read(Changed({{"hidden_size", 9}, {"head_dim", 6}})).shape.head_dim, 6);
  EXPECT_EQ(Read(Changed({{"head_dim", 6}}), {{}, {}, 10}).shape.head_dim, 10);
}

TEST(ModelConfig, RefusesMissingSizesByName) {
  for (const char* key : {"vocab_size", "hidden_size", "intermediate_size", "num_hidden_layers",
                          "num_attention_heads"}) {
    EXPECT_THAT(Refusal(Changed({{key, nullptr}})), HasSubstr(std::string(key) + ": missing"));
    for (const json& bad : {json(0), json(-1), json(1.5), json(1e9), json("8"), json::array({8})}) {
      EXPECT_THAT(Refusal(Changed({{key, bad}})), HasSubstr(std::string(key) + ": ")) << bad;
    }
  }
}

TEST(ModelConfig, RefusesWhatIsNotComputedByName) {
  const struct {
    json change;
    const char* message;
  } cases[] = {
      {{{"model_type", "gemma"}}, "model_type: 'gemma' is not supported; allowed: llama, mistral"},
      {{{"model_type", nullptr}}, "model_type: '' is not supported"},
      {{{"hidden_act", "gelu"}}, "hidden_act: 'gelu' is not supported; allowed: silu"},
      {{{"attention_bias", true}}, "attention_bias: biases are not supported"},
      {{{"mlp_bias", true}}, "mlp_bias: biases are not supported"},
      {{{"partial_rotary_factor", 0.5}}, "partial_rotary_factor: partial rotations"},
      {{{"rope_parameters", {{"partial_rotary_factor", 0.5}}}},
       "partial_rotary_factor: partial rotations"},
      {{{"head_dim", 5}}, "head_dim: 5; allowed: even, up to 4096"},
      {{{"head_dim", 4098}}, "head_dim: 4098; allowed: even, up to 4096"},
      {{{"hidden_size", 9}}, "head_dim: missing, and num_attention_heads does not divide"},
      {{{"num_attention_heads", 8}}, "head_dim: 1; allowed: even"},
      {{{"num_attention_heads", 4}, {"num_key_value_heads", 3}},
       "num_key_value_heads: does not divide num_attention_heads"},
      {{{"num_key_value_heads", 4}}, "num_key_value_heads: does not divide"},
      {{{"rope_theta", 1}}, "rope_theta: must be above 1"},
      {{{"rope_theta", -500}}, "rope_theta: must be above 1"},
      {{{"rope_theta", "big"}}, "rope_theta: expected a number"},
      {{{"model_type", "mistral"}, {"sliding_window", 0}},
       "sliding_window: 0; allowed: whole numbers from 1"},
      {{{"rms_norm_eps", 0}}, "rms_norm_eps: allowed: above 0"},
      {{{"rms_norm_eps", 1e-60}}, "rms_norm_eps: allowed: above 0"},
      {{{"max_position_embeddings", 1}},
       "max_position_embeddings: 1; allowed: whole numbers from 2"},
      {{{"num_hidden_layers", 70000}}, "out of range"},
      {{{"rope_theta", 500}, {"rope_scaling", {{"rope_theta", 600}}}},
       "rope_theta: differs from rope_scaling.rope_theta"},
      {{{"tie_word_embeddings", 1}}, "tie_word_embeddings: expected true or false"},
  };
  for (const auto& [change, message] : cases) {
    EXPECT_THAT(Refusal(Changed(change)), HasSubstr(message)) << change;
  }
}

TEST(ModelConfig, TakesTheBaseFromEitherForm) {
  const json five = {{"rope_theta", 1e6}, {"rope_type", "default"}};
  const json only = Changed({{"rope_theta", nullptr}, {"rope_parameters", five}});
  EXPECT_EQ(Read(only).rope_base, 1e6);
  EXPECT_EQ(Read(Changed({{"rope_theta", 1e6}, {"rope_parameters", five}})).rope_base, 1e6);
  EXPECT_THAT(Refusal(Changed({{"rope_parameters", five}})),
              HasSubstr("rope_theta: differs from rope_parameters.rope_theta"));
  EXPECT_EQ(Read(only, {{}, 77, {}}).rope_base, 77);
  EXPECT_EQ(Read(Changed({{"rope_scaling", {{"type", "default"}}}})).rope_base, 500);
}

TEST(ModelConfig, ALlamasOriginalLengthIsItsLongestUnlessStated) {
  EXPECT_EQ(Read(SmallConfig()).OriginalLength(), 32);
  EXPECT_EQ(Read(Changed({{"original_max_position_embeddings", 16}})).OriginalLength(), 16);
  EXPECT_EQ(Read(Changed({{"rope_scaling",
                           {{"type", "default"}, {"original_max_position_embeddings", 16}}}}))
                .OriginalLength(),
            16);
  EXPECT_EQ(Read(SmallConfig(), {8, {}, {}}).OriginalLength(), 8);
  const ModelConfig unknown = Read(Changed({{"max_position_embeddings", nullptr}}));
  EXPECT_THAT(RefusalOf([&] { unknown.OriginalLength(); }), HasSubstr("model.original_length"));
}

TEST(ModelConfig, AMistralsOriginalLengthMustBeStated) {
  for (const json& window : {json(8), json(4096), json(nullptr)}) {
    const ModelConfig model = Read(Mistral({{"sliding_window", window}}));
    EXPECT_EQ(model.original_length, std::nullopt);
    EXPECT_THAT(RefusalOf([&] { model.OriginalLength(); }),
                HasSubstr("sliding_window does not tell it"));
    EXPECT_THAT(RefusalOf([&] { model.Rope(); }), HasSubstr("model.original_length"));
  }
  EXPECT_EQ(Read(Mistral()).shape.sliding_window, 8);
  EXPECT_EQ(Read(Mistral(), {16, {}, {}}).OriginalLength(), 16);
  EXPECT_EQ(Read(Mistral({{"original_max_position_embeddings", 64}})).OriginalLength(), 64);
}

TEST(ModelConfig, HonoursLongropeByLength) {
  const ModelConfig model = Read(LongRope());
  ASSERT_TRUE(model.own_factors);
  const RopeFactors& low = model.own_factors->For(32);
  const RopeFactors& high = model.own_factors->For(33);
  EXPECT_EQ(model.own_factors->For(1), low);
  EXPECT_EQ(model.own_factors->For(256), high);
  EXPECT_EQ(model.own_factors->For(100'000), high);
  EXPECT_EQ(low.lambda, (std::vector<float>{1.0f, 1.5f}));
  EXPECT_EQ(high.lambda, (std::vector<float>{1.0f, 8.0f}));
  EXPECT_EQ(high.start_tokens, 0);
  // sqrt(1 + ln 8 / ln 32) at any length, as transformers has it.
  EXPECT_TRUE(CloseRelative(high.attention_factor, std::sqrt(1.6), 1e-14));
  EXPECT_EQ(low.attention_factor, high.attention_factor);
}

TEST(ModelConfig, LongropeReadsFactorAndAttentionFactor) {
  const auto m = [](const json& changes) {
    return Read(LongRope(changes)).own_factors->For(64).attention_factor;
  };
  EXPECT_TRUE(CloseRelative(m({{"factor", 32.0}}), std::sqrt(2.0), 1e-14));
  EXPECT_EQ(m({{"attention_factor", 1.25}}), 1.25);
  EXPECT_EQ(m({{"attention_factor", 1.25}, {"factor", 32.0}}), 1.25);
}

TEST(ModelConfig, LongropeReadsStartTokens) {
  const auto start = [](const json& value, int64_t length) {
    json config = LongRope();
    config["longrope_start_tokens"] = value;
    return Read(config).own_factors->For(length).start_tokens;
  };
  for (const int64_t length : {int64_t{32}, int64_t{33}, int64_t{256}}) {
    EXPECT_EQ(start(16, length), 16);
    EXPECT_EQ(start(0, length), 0);
    EXPECT_EQ(start(nullptr, length), 0);
    EXPECT_EQ(start(int64_t{1} << 32, length), int64_t{1} << 32);
  }
  for (const json& bad : {json(-1), json(1.5), json((int64_t{1} << 32) + 1), json("16"), json(true),
                          json::array({16}), json::object()}) {
    json config = LongRope();
    config["longrope_start_tokens"] = bad;
    EXPECT_THAT(Refusal(config), HasSubstr("longrope_start_tokens: ")) << bad;
    EXPECT_THAT(Refusal(Changed({{"longrope_start_tokens", bad}})),
                HasSubstr("longrope_start_tokens: "))
        << bad;
  }
}

TEST(ModelConfig, StartTokensAreForLongropeFactors) {
  for (const json& block : {json(nullptr), json{{"rope_type", "default"}}}) {
    const json changes = {{"rope_scaling", block}, {"longrope_start_tokens", 16}};
    EXPECT_THAT(Refusal(Changed(changes)),
                HasSubstr("longrope_start_tokens: is for factors of rope type longrope"));
  }
  EXPECT_FALSE(Read(Changed({{"longrope_start_tokens", 0}})).own_factors);
}

TEST(ModelConfig, LongropeNeedsItsOriginalLengthStated) {
  json config = LongRope();
  config.erase("original_max_position_embeddings");
  EXPECT_THAT(RefusalOf([&] { Read(config); }), HasSubstr("original length"));
  EXPECT_EQ(Read(config, {64, {}, {}}).own_factors->set.buckets.at(0).length, 64);
  config["rope_scaling"]["original_max_position_embeddings"] = 128;
  EXPECT_EQ(Read(config).own_factors->set.buckets.at(0).length, 128);
}

TEST(ModelConfig, RefusesLongropeFactorsThatAreNone) {
  const struct {
    json factors;
    const char* message;
  } cases[] = {{nullptr, "missing"},
               {{1.0}, "has 1 elements, expected 2"},
               {{1.0, 2.0, 3.0}, "has 3 elements, expected 2"},
               {{1.0, 0.0}, "factors must be above 0"},
               {{1.0, -2.0}, "factors must be above 0"},
               {{1.0, 1e-60}, "factors must be above 0"},  // nothing is left of it in float32
               {{1.0, 1e60}, "factors must be"},           // nor of this
               {{1.0, "2"}, "element 1 is not a number"},
               {1.0, "expected a list of numbers"}};
  for (const char* key : {"short_factor", "long_factor"}) {
    for (const auto& [factors, message] : cases) {
      EXPECT_THAT(Refusal(LongRope({{key, factors}})),
                  HasSubstr("rope_scaling: " + std::string(key) + ": " + message))
          << factors;
    }
  }
}

TEST(ModelConfig, RefusesHeadSizesOfAJobThatDoNotFit) {
  for (int64_t head_dim :
       {int64_t{0}, int64_t{-2}, int64_t{3}, int64_t{4098}, (int64_t{1} << 32) + 4}) {
    EXPECT_THAT(Refusal(SmallConfig(), {{}, {}, head_dim}), HasSubstr("head_dim: ")) << head_dim;
  }
}

TEST(ModelConfig, RefusesAConfigThatIsMissingOrNone) {
  const TempFolder folder;
  EXPECT_THAT(RefusalOf([&] { ReadModelConfig(folder.path(), {}); }),
              HasSubstr("config.json: cannot be opened"));
  testing::WriteFile(folder.path() / "config.json", "{");
  EXPECT_THAT(RefusalOf([&] { ReadModelConfig(folder.path(), {}); }),
              HasSubstr("config.json: not valid JSON"));
}

}  // namespace
}  // namespace longrope
