#include "eval/model/gguf_model.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <functional>

#include "eval/backend.h"
#include "eval/model/model_folder.h"
#include "eval/scorer.h"
#include "kernels/load_row.h"
#include "tests/support/gguf_writer.h"
#include "tests/support/half.h"
#include "tests/support/refusal.h"
#include "tests/support/small_model.h"
#include "tests/support/temp_folder.h"

namespace longrope {
namespace {

using ::testing::ElementsAre;
using testing::FloatBytes;
using testing::GgufBytes;
using testing::GgufF32;
using testing::GgufI32s;
using testing::GgufOf;
using testing::GgufText;
using testing::GgufToWrite;
using testing::GgufU32;
using ::testing::HasSubstr;
using testing::RefusalOf;
using testing::SmallGguf;
using testing::SourcePath;
using testing::TempFolder;
using testing::WriteFile;

std::vector<int32_t> Tokens(int64_t count, int vocab) {
  std::vector<int32_t> tokens = {1};
  for (uint32_t state = 3; static_cast<int64_t>(tokens.size()) < count;) {
    state = state * 1664525u + 1013904223u;
    tokens.push_back(static_cast<int32_t>((state >> 8) % static_cast<uint32_t>(vocab)));
  }
  return tokens;
}

std::vector<double> Nats(const ModelSource& model, int64_t count) {
  const auto engine = MakeEngine({.name = "reference", .threads = 2});
  RopeFactors factors{std::vector<float>(static_cast<size_t>(model.config().shape.head_dim / 2), 2),
                      3, 1.1};
  return *Scorer(*engine, model, {}).TokenNats(Tokens(count, model.config().shape.vocab), factors);
}

class GgufModelTest : public ::testing::Test {
 protected:
  std::filesystem::path Write(const GgufToWrite& file) {
    WriteFile(folder_ / "m.gguf", GgufBytes(file));
    return folder_ / "m.gguf";
  }
  // Of the small model after `spoil`.
  GgufModel Open(const std::function<void(GgufToWrite*)>& spoil,
                 const ConfigOverrides& overrides = {}) {
    GgufToWrite file = SmallGguf();
    spoil(&file);
    return GgufModel(Write(file), overrides);
  }
  std::string Refusal(const std::function<void(GgufToWrite*)>& spoil) {
    const std::string refusal = RefusalOf([&] { Open(spoil); });
    EXPECT_THAT(refusal, HasSubstr("m.gguf: "));
    return refusal;
  }

  TempFolder folder_;
};

TEST_F(GgufModelTest, ReadsTheConfigFromTheKeys) {
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

TEST_F(GgufModelTest, KeysThatMayBeMissingHaveTheirDefaults) {
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

TEST_F(GgufModelTest, OverridesWin) {
  const GgufModel model =
      Open([](GgufToWrite*) {}, {.original_length = 16, .rope_base = 99, .head_dim = 4});
  EXPECT_EQ(model.config().original_length, 16);
  EXPECT_EQ(model.config().rope_base, 99);
}

TEST_F(GgufModelTest, ScoresAsTheHuggingFaceFolderDoes) {
  const ModelFolder folder(SourcePath("data/tiny"), {});
  const GgufModel model(Write(GgufOf(folder.config(), folder)), {});
  EXPECT_EQ(model.stored(), folder.stored());
  EXPECT_EQ(Nats(model, 300), Nats(folder, 300));
}

// The small model's folder with every tensor in another format.
class GgufFormats : public GgufModelTest, public ::testing::WithParamInterface<const char*> {};

TEST_P(GgufFormats, ScoreAsTheHuggingFaceFolderDoes) {
  auto tensors = testing::SmallTensors();
  const std::string format = GetParam();
  for (auto& tensor : tensors) {
    if (format == "F32") break;
    tensor.dtype = format;
    std::string narrow;
    for (size_t i = 0; i < tensor.bytes.size(); i += 4) {
      float value;
      std::memcpy(&value, tensor.bytes.data() + i, 4);
      narrow += format == "F16" ? testing::LittleEndian(testing::HalfOfFloat(value))
                                : tensor.bytes.substr(i + 2, 2);
    }
    tensor.bytes = narrow;
  }
  testing::WriteConfig(folder_.path(), testing::SmallConfig());
  testing::WriteWeights(folder_.path(), tensors);
  const ModelFolder folder(folder_.path(), {});
  const GgufModel model(Write(GgufOf(folder.config(), folder)), {});
  EXPECT_EQ(model.stored(), folder.stored());
  EXPECT_EQ(Nats(model, 30), Nats(folder, 30));
}

INSTANTIATE_TEST_SUITE_P(Plain, GgufFormats, ::testing::Values("F32", "F16", "BF16"),
                         [](const auto& format) { return std::string(format.param); });

TEST_F(GgufModelTest, TheAccountHoldsTheCopiesOfPairedRows) {
  const GgufModel model = Open([](GgufToWrite*) {});
  const auto engine = MakeEngine({.name = "reference", .threads = 1});
  // F32 in place, but for queries [8, 8] and keys [4, 8].
  EXPECT_EQ(Scorer(*engine, model, {}).Plan(30).account.weights, 4 * (8 * 8 + 4 * 8));
}

TEST_F(GgufModelTest, TwoPartsScoreAndDigestAsOneFile) {
  GgufToWrite one = SmallGguf();
  const GgufModel whole(Write(one), {});
  const std::vector<double> nats = Nats(whole, 30);
  GgufToWrite second;
  for (int i = 0; i < 5; ++i) {
    second.tensors.push_back(one.tensors.back());
    one.tensors.pop_back();
  }
  for (GgufToWrite* part : {&one, &second}) {
    part->Set("split.no", GgufU32(part == &one ? 0 : 1));
    part->Set("split.count", GgufU32(2));
  }
  WriteFile(folder_ / "s-00001-of-00002.gguf", GgufBytes(one));
  WriteFile(folder_ / "s-00002-of-00002.gguf", GgufBytes(second));
  const GgufModel split(folder_ / "s-00001-of-00002.gguf", {});
  EXPECT_EQ(Nats(split, 30), nats);
  EXPECT_EQ(split.Digest(), whole.Digest());
}

TEST_F(GgufModelTest, DigestChangesWithWeightsKeysAndFactors) {
  std::vector<std::string> digests = {Open([](GgufToWrite*) {}).Digest()};
  const std::function<void(GgufToWrite*)> changes[] = {
      [](GgufToWrite* f) { f->tensors.front().bytes[5] ^= 1; },
      [](GgufToWrite* f) { f->Set("llama.rope.freq_base", GgufF32(501)); },
      [](GgufToWrite* f) { f->Set("llama.rope.scaling.attn_factor", GgufF32(1.25f)); },
      [](GgufToWrite* f) {
        f->tensors.push_back({"rope_freqs.weight", {2}, 0, FloatBytes({1, 2}), {}});
      }};
  for (const auto& change : changes) digests.push_back(Open(change).Digest());
  EXPECT_EQ(std::set(digests.begin(), digests.end()).size(), 5u);
  // A key that says nothing of the model changes nothing.
  EXPECT_EQ(Open([](GgufToWrite* f) { f->Set("general.name", GgufText("x")); }).Digest(),
            digests[0]);
}

TEST_F(GgufModelTest, RopeFreqsHoldAtEveryLength) {
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

TEST_F(GgufModelTest, ScalingIsHonouredAsLlamaCppDoes) {
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
  EXPECT_EQ(factors("none", {}, 1.5f), (std::vector<FactorBucket>{{32, {{1, 1}, 0, 1.5}}}));
}

TEST_F(GgufModelTest, YarnIsTransformersWithItsAttentionFactorOneMore) {
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

TEST_F(GgufModelTest, LongropeHasShortFactorsUpToTheOriginalLength) {
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

TEST_F(GgufModelTest, RefusesFactorsThatAreNone) {
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

TEST_F(GgufModelTest, RefusesByNameWhatIsNotComputed) {
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
    EXPECT_THAT(Refusal([&](GgufToWrite* f) { f->Set(key, value.first); }),
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

TEST_F(GgufModelTest, RefusesTensorsThatAreMissingUnknownOrOfAnotherShape) {
  for (const auto& tensor : SmallGguf().tensors) {
    const auto refusal = [&](const std::function<void(GgufToWrite*)>& spoil) {
      EXPECT_THAT(Refusal(spoil), HasSubstr("tensor " + tensor.name));
    };
    if (tensor.name != "output.weight") {
      refusal([&](GgufToWrite* f) {
        std::erase_if(f->tensors, [&](const auto& each) { return each.name == tensor.name; });
      });
    }
    refusal([&](GgufToWrite* f) { f->Tensor(tensor.name).shape.push_back(1); });
  }
  EXPECT_THAT(Refusal([](GgufToWrite* f) {
                f->tensors.push_back({"blk.0.attn_q.bias", {8}, 0, std::string(32, '\0'), {}});
              }),
              HasSubstr("tensor blk.0.attn_q.bias is not one of the llama architecture"));
  EXPECT_THAT(Refusal([](GgufToWrite* f) { f->Set("llama.block_count", GgufU32(2)); }),
              HasSubstr("tensor blk.1.attn_norm.weight is missing"));
}

TEST_F(GgufModelTest, FindsAWeightThatIsNotFiniteByName) {
  EXPECT_EQ(Open([](GgufToWrite*) {}).FindNonFinite(), "");
  const GgufModel model = Open([](GgufToWrite* f) {
    f->Tensor("blk.0.ffn_up.weight").bytes.replace(4 * 13, 4, FloatBytes({-INFINITY}));
  });
  EXPECT_EQ(model.FindNonFinite(), "tensor blk.0.ffn_up.weight, element 13");
}

TEST(ModelSource, AGgufFileIsFoundInAFolderThatHoldsOneModel) {
  TempFolder folder;
  const std::string bytes = GgufBytes(SmallGguf());
  EXPECT_EQ(GgufFileOf(folder.path()), std::nullopt);
  WriteFile(folder / "a-00001-of-00002.gguf", bytes);
  WriteFile(folder / "a-00002-of-00002.gguf", bytes);
  EXPECT_EQ(GgufFileOf(folder.path()), folder / "a-00001-of-00002.gguf");
  EXPECT_EQ(OpenModel(folder.path(), {})->config().shape.vocab, 16);
  EXPECT_EQ(ModelConfigOf(folder.path(), {}).shape.vocab, 16);
  EXPECT_REFUSED(RefuseGguf(folder.path(), "a fine-tune"), "a fine-tune needs a Hugging Face");
  WriteFile(folder / "b.gguf", bytes);
  EXPECT_REFUSED(GgufFileOf(folder.path()), "holds several GGUF files");
  EXPECT_EQ(GgufFileOf(folder / "b.gguf"), folder / "b.gguf");
  WriteFile(folder / "config.json", "{}");
  EXPECT_EQ(GgufFileOf(folder.path()), std::nullopt);
  EXPECT_EQ(GgufFileOf("missing.gguf"), "missing.gguf");
  EXPECT_REFUSED(OpenModel("missing.gguf", {}), "missing.gguf");
}

}  // namespace
}  // namespace longrope
