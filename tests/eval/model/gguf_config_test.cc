#include "eval/model/gguf_config.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>

#include "tests/support/safetensors_writer.h"
#include "tests/support/spoilt_gguf.h"

namespace longrope {
namespace {

using ::testing::ElementsAre;
using testing::FloatBytes;
using testing::GgufF32;
using testing::GgufI32s;
using testing::GgufText;
using testing::GgufToWrite;
using testing::GgufU32;
using ::testing::HasSubstr;

using GgufConfigTest = testing::SpoiltGguf;

TEST_F(GgufConfigTest, ReadsTheConfigFromTheKeys) {
  const GgufModel model = Open([](GgufToWrite* f) {
    f->Set("llama.attention.sliding_window", GgufU32(24));
    f->Set("llama.vocab_size", GgufU32(16));
  });
  const ModelConfig& c = model.config();
  EXPECT_EQ(c.family, "llama");
  EXPECT_EQ(c.shape.layers, 1);
  EXPECT_EQ(c.shape.hidden, 8);
  EXPECT_EQ(c.shape.heads, 2);
  EXPECT_EQ(c.shape.kv_heads, 1);
  EXPECT_EQ(c.shape.head_dim, 4);
  EXPECT_EQ(c.shape.ffn, 12);
  EXPECT_EQ(c.shape.vocab, 16);
  EXPECT_EQ(c.shape.norm_epsilon, 1e-5f);
  EXPECT_EQ(c.shape.sliding_window, 24);
  EXPECT_EQ(c.rope_base, 500);
  EXPECT_EQ(c.original_length, 32);
  EXPECT_FALSE(c.tied_head);
  EXPECT_FALSE(c.own_factors);
  EXPECT_EQ(model.stored(), DType::kF32);
}

TEST_F(GgufConfigTest, KeysThatMayBeMissingHaveTheirDefaults) {
  const GgufModel model = Open([](GgufToWrite* f) {
    std::erase_if(f->keys, [](const auto& key) {
      return key.first == "llama.rope.freq_base" || key.first == "llama.attention.key_length" ||
             key.first == "llama.attention.value_length" ||
             key.first == "llama.rope.dimension_count";
    });
    f->tensors.pop_back();
  });
  EXPECT_EQ(model.config().rope_base, 10000);
  EXPECT_EQ(model.config().shape.head_dim, 4);
  EXPECT_TRUE(model.config().tied_head);
  EXPECT_EQ(model.Get(WeightRole::kHead, 0).data, model.Get(WeightRole::kEmbedding, 0).data);
}

TEST_F(GgufConfigTest, OverridesWin) {
  const GgufModel model =
      Open([](GgufToWrite*) {}, {.original_length = 16, .rope_base = 99, .head_dim = 4});
  EXPECT_EQ(model.config().original_length, 16);
  EXPECT_EQ(model.config().rope_base, 99);
}

TEST_F(GgufConfigTest, RopeFreqsHoldAtEveryLength) {
  const GgufModel model = Open([](GgufToWrite* f) {
    f->tensors.push_back({"rope_freqs.weight", {2}, 0, FloatBytes({1, 4}), {}});
    f->Set("llama.rope.scaling.original_context_length", GgufU32(16));
    f->Set("llama.rope.scaling.attn_factor", GgufF32(1.25f));
  });
  EXPECT_EQ(model.config().original_length, 16);
  const FactorSet expected{{{32, {{1, 4}, 0, 1.25}}}};
  ASSERT_TRUE(model.config().own_factors);
  EXPECT_EQ(model.config().own_factors->set.buckets, expected.buckets);
}

TEST_F(GgufConfigTest, ScalingIsHonouredAsLlamaCppDoes) {
  const auto factors = [&](const char* type, std::optional<float> factor,
                           std::optional<float> attention) {
    const GgufModel model = Open([&](GgufToWrite* f) {
      if (type) f->Set("llama.rope.scaling.type", GgufText(type));
      if (factor) f->Set("llama.rope.scaling.factor", GgufF32(*factor));
      if (attention) f->Set("llama.rope.scaling.attn_factor", GgufF32(*attention));
    });
    return model.config().own_factors ? model.config().own_factors->set.buckets
                                      : std::vector<FactorBucket>();
  };
  const std::vector<FactorBucket> none;
  EXPECT_EQ(factors("none", 4.0f, {}), none);
  EXPECT_EQ(factors("linear", 1.0f, {}), none);
  EXPECT_EQ(factors(nullptr, {}, 1.0f), none);
  EXPECT_EQ(factors("linear", 4.0f, {}), (std::vector<FactorBucket>{{32, {{4, 4}, 0, 1}}}));
  EXPECT_EQ(factors(nullptr, 4.0f, 1.5f), (std::vector<FactorBucket>{{32, {{4, 4}, 0, 1.5}}}));
  EXPECT_EQ(factors("linear", 0.0f, {}), none);
  EXPECT_EQ(factors("none", {}, 1.5f), (std::vector<FactorBucket>{{32, {{1, 1}, 0, 1.5}}}));
}

TEST_F(GgufConfigTest, ReadsTheOldKeyOfTheFactorWhereThereIsNoNewOne) {
  const auto old = [](GgufToWrite* f) { f->Set("llama.rope.scale_linear", GgufF32(4)); };
  const std::vector<FactorBucket> four{{32, {{4, 4}, 0, 1}}}, two{{32, {{2, 2}, 0, 1}}};
  ASSERT_TRUE(Open(old).config().own_factors);
  EXPECT_EQ(Open(old).config().own_factors->set.buckets, four);
  const GgufModel both = Open([&](GgufToWrite* f) {
    old(f);
    f->Set("llama.rope.scaling.factor", GgufF32(2));
  });
  EXPECT_EQ(both.config().own_factors->set.buckets, two);
  EXPECT_THAT(Refusal([](GgufToWrite* f) { f->Set("llama.rope.scale_linear", GgufF32(-1)); }),
              HasSubstr("llama.rope.scale_linear: allowed: above 0"));
}

TEST_F(GgufConfigTest, SaysWhereAnOriginalLengthIsFromThatNobodyStated) {
  const auto as_is = [](GgufToWrite*) {};
  EXPECT_EQ(Open(as_is).config().OriginalNote(),
            "original length 32 tokens, from llama.context_length of the GGUF file (set "
            "model.original_length if the model was trained on fewer)");
  EXPECT_EQ(
      Open(as_is, {.original_length = 16, .rope_base = {}, .head_dim = {}}).config().OriginalNote(),
      "");
  const GgufModel stated = Open(
      [](GgufToWrite* f) { f->Set("llama.rope.scaling.original_context_length", GgufU32(16)); });
  EXPECT_EQ(stated.config().OriginalNote(), "");
}

TEST_F(GgufConfigTest, YarnIsTransformersWithItsAttentionFactorOneMore) {
  const GgufModel model = Open([](GgufToWrite* f) {
    f->Set("llama.rope.scaling.type", GgufText("yarn"));
    f->Set("llama.rope.scaling.factor", GgufF32(2));
    f->Set("llama.rope.scaling.original_context_length", GgufU32(16));
    f->Set("llama.rope.scaling.attn_factor", GgufF32(1.25f));
    f->tensors.push_back({"rope_freqs.weight", {2}, 0, FloatBytes({1, 4}), {}});
  });
  const OwnFactors plain = YarnFactors({4, 500, 16}, 2, {}, std::nullopt, 32);
  const FactorBucket& own = model.config().own_factors->Longest();
  EXPECT_EQ(own.length, 32);
  const auto& lambda = plain.Longest().factors.lambda;
  EXPECT_THAT(own.factors.lambda, ElementsAre(lambda[0], 4 * lambda[1]));
  EXPECT_EQ(own.factors.attention_factor, 1.25 * plain.Longest().factors.attention_factor);
  EXPECT_EQ(model.config().own_factors->type, "yarn, factor 2 times rope_freqs.weight");
  EXPECT_THAT(Refusal([](GgufToWrite* f) {
                f->Set("llama.rope.scaling.type", GgufText("yarn"));
                f->Set("llama.rope.scaling.factor", GgufF32(2));
                f->Set("llama.rope.scaling.yarn_ext_factor", GgufF32(0.5f));
              }),
              HasSubstr("llama.rope.scaling.yarn_ext_factor: is not supported"));
}

TEST_F(GgufConfigTest, LongropeHasShortFactorsUpToTheOriginalLength) {
  const auto longrope = [](GgufToWrite* f) {
    f->Set("llama.rope.scaling.type", GgufText("longrope"));
    f->Set("llama.rope.scaling.original_context_length", GgufU32(16));
    f->tensors.push_back({"rope_factors_long.weight", {2}, 0, FloatBytes({2, 8}), {}});
    f->tensors.push_back({"rope_factors_short.weight", {2}, 0, FloatBytes({1, 3}), {}});
  };
  const FactorSet expected{{{16, {{1, 3}, 0, 1}}, {32, {{2, 8}, 0, 1}}}};
  EXPECT_EQ(Open(longrope).config().own_factors->set.buckets, expected.buckets);
  EXPECT_THAT(Refusal([&](GgufToWrite* f) {
                longrope(f);
                f->tensors.pop_back();
              }),
              HasSubstr("longrope needs the tensors"));
  EXPECT_THAT(Refusal([&](GgufToWrite* f) {
                longrope(f);
                f->tensors.push_back({"rope_freqs.weight", {2}, 0, FloatBytes({1, 4}), {}});
              }),
              HasSubstr("tensor rope_freqs.weight is not read with llama.rope.scaling.type"));
  EXPECT_THAT(Refusal([&](GgufToWrite* f) {
                longrope(f);
                f->Set("llama.rope.scaling.type", GgufText("linear"));
              }),
              HasSubstr("tensor rope_factors_short.weight is not read"));
}

TEST_F(GgufConfigTest, RefusesFactorsThatAreNone) {
  for (const auto& bytes : {FloatBytes({1, 0}), FloatBytes({1, NAN}), FloatBytes({-1, 1}),
                            FloatBytes({1, INFINITY}), FloatBytes({1e-40f, 1})}) {
    EXPECT_THAT(Refusal([&](GgufToWrite* f) {
                  f->tensors.push_back({"rope_freqs.weight", {2}, 0, bytes, {}});
                }),
                HasSubstr("tensor rope_freqs.weight: factors must be above 0"));
  }
  for (const std::vector<int64_t>& shape : {std::vector<int64_t>{1}, {3}, {1, 2}, {2, 1}, {0}}) {
    std::string bytes(12, '\1');
    EXPECT_THAT(Refusal([&](GgufToWrite* f) {
                  f->tensors.push_back({"rope_freqs.weight", shape, 0, bytes, {}});
                }),
                HasSubstr("must be of type f32 and of 2 elements"));
  }
}

TEST_F(GgufConfigTest, RefusesByNameWhatIsNotComputed) {
  const std::pair<const char*, std::pair<std::string, const char*>> cases[] = {
      {"general.architecture", {GgufText("qwen2"), "'qwen2' is not supported; allowed: llama"}},
      {"llama.expert_count", {GgufU32(8), "mixtures of experts"}},
      {"llama.rope.scaling.type",
       {GgufText("su"), "'su' is not supported; allowed: none, linear, yarn, longrope"}},
      {"llama.rope.scaling.factor", {GgufF32(-1), "allowed: above 0"}},
      {"llama.rope.scaling.attn_factor", {GgufF32(0), "allowed: above 0"}},
      {"llama.rope.dimension_count", {GgufU32(2), "2; allowed: the head's size, 4"}},
      {"llama.attention.value_length", {GgufU32(2), "2; allowed: the head's size, 4"}},
      {"llama.attention.key_length", {GgufU32(3), "3; allowed: even"}},
      {"llama.attention.head_count", {GgufI32s({2, 2}), "expected a whole number"}},
      {"llama.attention.head_count_kv", {GgufU32(3), "does not divide"}},
      {"llama.attention.layer_norm_rms_epsilon", {GgufF32(0), "allowed: above 0 and below 1"}},
      {"llama.rope.freq_base", {GgufF32(1), "must be above 1"}},
      {"llama.context_length", {GgufU32(0), "0; allowed: whole numbers from 2"}},
      {"llama.block_count", {GgufU32(0), "0; allowed: whole numbers from 1 to 512"}},
      {"llama.block_count", {GgufU32(513), "513; allowed"}},
      {"llama.block_count", {GgufU32(1u << 31), "2147483648; allowed"}},
      {"llama.embedding_length", {GgufU32(0), "0; allowed"}},
      {"llama.feed_forward_length", {GgufU32(~0u), "4294967295; allowed"}}};
  for (const auto& [key, value] : cases) {
    EXPECT_THAT(Refusal([&key = key, &value = value](GgufToWrite* f) { f->Set(key, value.first); }),
                HasSubstr(std::string(key) + ": " + value.second));
  }
  for (const char* key : {"general.architecture", "llama.block_count", "llama.context_length",
                          "llama.embedding_length", "llama.feed_forward_length",
                          "llama.attention.head_count", "llama.attention.layer_norm_rms_epsilon"}) {
    EXPECT_THAT(Refusal([&](GgufToWrite* f) {
                  std::erase_if(f->keys, [&](const auto& each) { return each.first == key; });
                }),
                HasSubstr(key));
  }
}

}  // namespace
}  // namespace longrope
