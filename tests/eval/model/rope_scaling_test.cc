#include "eval/model/rope_scaling.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>

#include "eval/model/model_config.h"
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

// Of SmallConfig (two pairs, base 500, max_position_embeddings 32) with these keys laid over it.
ModelConfig Read(const json& changes, const ConfigOverrides& overrides = {}) {
  const testing::TempFolder folder;
  json config = testing::SmallConfig();
  config.merge_patch(changes);
  testing::WriteConfig(folder.path(), config);
  return ReadModelConfig(folder.path(), overrides);
}

json Scaled(const json& block, const json& more = json::object()) {
  json changes = more;
  changes["rope_scaling"] = block;
  return changes;
}

std::string Refusal(const json& changes) {
  return RefusalOf([&] { Read(changes); });
}

const json kLlama3 = {{"rope_type", "llama3"},
                      {"factor", 8.0},
                      {"low_freq_factor", 1.0},
                      {"high_freq_factor", 4.0},
                      {"original_max_position_embeddings", 32}};

TEST(RopeScaling, NoneIsPlain) {
  EXPECT_FALSE(Read(json::object()).own_factors);
  EXPECT_FALSE(Read(Scaled({{"rope_type", "default"}})).own_factors);
}

TEST(RopeScaling, RefusesRotationsItDoesNotKnowByName) {
  for (const char* type : {"su", "proportional", "mrope", "ntk", ""}) {
    for (const char* key : {"rope_type", "type"}) {
      for (const char* block : {"rope_scaling", "rope_parameters"}) {
        EXPECT_THAT(Refusal({{block, {{key, type}, {"factor", 4.0}}}}),
                    HasSubstr(std::string(block) + ": rope_type: scaling '" + type +
                              "' is not supported; allowed: default, linear, dynamic, yarn, "
                              "llama3, longrope"));
      }
    }
  }
  EXPECT_THAT(Refusal({{"rope_scaling", "yarn"}}),
              HasSubstr("rope_scaling: expected a JSON object"));
}

TEST(RopeScaling, RefusesAFactorOfNoType) {
  for (const char* key : {"factor", "long_factor"}) {
    EXPECT_THAT(Refusal({{"rope_scaling", {{key, 4.0}}}}),
                HasSubstr("rope_scaling: rope_type: missing; allowed: default, linear"));
  }
  EXPECT_FALSE(Read({{"rope_parameters", {{"rope_theta", 500.0}}}}).own_factors);
}

// As the models of two kinds of layers have it in transformers 5: nothing here would read it.
TEST(RopeScaling, RefusesRotationsOfSomeLayers) {
  EXPECT_THAT(Refusal({{"rope_parameters",
                        {{"full_attention", {{"rope_type", "yarn"}, {"factor", 4.0}}},
                         {"sliding_attention", {{"rope_type", "default"}}}}}}),
              HasSubstr("rope_parameters: full_attention: a rotation for some of the layers"));
}

TEST(RopeScaling, WhatItReachesIsTheLongerOfTheStatedAndTheScaled) {
  const auto reach = [](const json& changes) {
    return Read(changes).own_factors->Longest().length;
  };
  for (const char* type : {"linear", "dynamic", "yarn"}) {
    EXPECT_EQ(reach(Scaled({{"type", type}, {"factor", 4.0}})), 128) << type;
  }
  const json extended = {{"max_position_embeddings", 200},
                         {"original_max_position_embeddings", 32}};
  EXPECT_EQ(reach(Scaled({{"type", "yarn"}, {"factor", 4.0}}, extended)), 200);
  EXPECT_EQ(reach(Scaled({{"type", "yarn"}, {"factor", 8.0}}, extended)), 256);
  // LLaMA 3.2 states factor 32 on 8192 and goes to 131072.
  EXPECT_EQ(reach(Scaled(kLlama3, {{"max_position_embeddings", 100}})), 100);
  EXPECT_EQ(reach(Scaled(kLlama3)), 256) << "where the config says no more than the original";
}

TEST(RopeScaling, ALinearOneSlowsAllPairsAlike) {
  const auto own = Read(Scaled({{"type", "linear"}, {"factor", 2.5}})).own_factors;
  EXPECT_EQ(own->For(8), (RopeFactors{{2.5f, 2.5f}, 0, 1}));
  EXPECT_EQ(own->For(8000), own->For(8));
  EXPECT_EQ(own->Text(), "linear, factor 2.5: lambda 2.5 to 2.5, m 1, for up to 80 tokens");
}

TEST(RopeScaling, ADynamicOneFollowsTheLengthOfTheText) {
  const auto own = Read(Scaled({{"type", "dynamic"}, {"factor", 4.0}})).own_factors;
  for (const int64_t length : {1, 32}) {
    EXPECT_EQ(own->For(length), (RopeFactors{{1, 1}, 0, 1})) << length;
  }
  // base (4 n / 32 - 3)^(d / (d - 2)): of two pairs the slow one turns slower by that in brackets.
  for (const int64_t length : {33, 64, 128, 1000}) {
    const double slower = 4 * static_cast<double>(length) / 32 - 3;
    EXPECT_EQ(own->For(length).lambda[0], 1) << length;
    EXPECT_TRUE(CloseRelative(own->For(length).lambda[1], slower, 1e-6)) << length;
  }
  EXPECT_EQ(own->Longest().factors, own->For(128));
}

TEST(RopeScaling, Llama3LeavesFastPairsAndScalesSlowOnes) {
  // Waves of 2 pi and 2 pi sqrt(500) tokens, bounds 32 / 4 and 32 / 1.
  const auto own = Read(Scaled(kLlama3)).own_factors;
  EXPECT_EQ(own->For(100).lambda, (std::vector<float>{1, 8}));
  json between = kLlama3;
  between["high_freq_factor"] = 10.0;  // 3.2 < 2 pi
  const double kept = (32 / (2 * M_PI) - 1) / 9;
  EXPECT_TRUE(CloseRelative(Read(Scaled(between)).own_factors->For(1).lambda[0],
                            1 / ((1 - kept) / 8 + kept), 1e-6));
}

TEST(RopeScaling, YarnTakesItsFactorFromTheLengthsWhereItIsMissing) {
  const json changes = Scaled({{"type", "yarn"}, {"original_max_position_embeddings", 32}},
                              {{"max_position_embeddings", 128}});
  EXPECT_EQ(Read(changes).own_factors->type, "yarn, factor 4");
}

TEST(RopeScaling, AMistralsCountsFromItsLongestLengthAsTransformersDoes) {
  const json mistral = {{"model_type", "mistral"}, {"max_position_embeddings", 64}};
  const ModelConfig model = Read(Scaled({{"type", "dynamic"}, {"factor", 4.0}}, mistral));
  EXPECT_EQ(model.own_factors->dynamic->from.original_length, 64);
  EXPECT_FALSE(model.original_length) << "what it learned on remains unknown";
  EXPECT_EQ(Read(Scaled({{"type", "dynamic"}, {"factor", 4.0}}, mistral), {16, {}, {}})
                .own_factors->dynamic->from.original_length,
            16);
}

TEST(RopeScaling, RefusesValuesThatAreNone) {
  const auto block = [](json base, const char* key, const json& value) {
    base[key] = value;
    return Scaled(base);
  };
  for (const char* type : {"linear", "dynamic", "yarn"}) {
    for (const json& factor : {json(0.5), json(0), json(-1), json(1e9)}) {
      EXPECT_THAT(Refusal(Scaled({{"type", type}, {"factor", factor}})),
                  HasSubstr("rope_scaling: factor: allowed: 1 to 1e6"))
          << type;
    }
    EXPECT_THAT(Refusal(Scaled({{"type", type}, {"factor", "4"}})),
                HasSubstr("factor: expected a number"));
  }
  for (const char* type : {"linear", "dynamic", "yarn"}) {
    EXPECT_THAT(Refusal(Scaled({{"type", type}})), HasSubstr("rope_scaling: factor: missing"));
  }
  const json yarn = {{"type", "yarn"}, {"factor", 4.0}};
  EXPECT_THAT(Refusal(block(yarn, "beta_fast", -1)), HasSubstr("beta_fast: allowed"));
  EXPECT_THAT(Refusal(block(yarn, "attention_factor", 0)), HasSubstr("attention_factor: must be"));
  EXPECT_THAT(Refusal(block(yarn, "truncate", 1)), HasSubstr("truncate: expected true or false"));
  for (const char* key : {"low_freq_factor", "high_freq_factor"}) {
    EXPECT_THAT(Refusal(block(kLlama3, key, nullptr)), HasSubstr(std::string(key) + ": missing"));
    EXPECT_THAT(Refusal(block(kLlama3, key, 0)), HasSubstr(std::string(key) + ": allowed"));
  }
  EXPECT_THAT(Refusal(block(kLlama3, "low_freq_factor", 4)),
              HasSubstr("high_freq_factor: allowed: above low_freq_factor"));
  json unknown = Scaled({{"type", "linear"}, {"factor", 2.0}});
  unknown["max_position_embeddings"] = nullptr;
  EXPECT_THAT(Refusal(unknown), HasSubstr("max_position_embeddings: missing, and linear scaling "
                                          "counts from the model's original length"));
}

}  // namespace
}  // namespace longrope
