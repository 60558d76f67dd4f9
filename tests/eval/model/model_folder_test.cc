#include "eval/model/model_folder.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <set>

#include "tests/support/refusal.h"
#include "tests/support/small_model.h"
#include "tests/support/temp_folder.h"

namespace longrope {
namespace {

using nlohmann::json;
using testing::FloatBytes;
using ::testing::HasSubstr;
using testing::RefusalOf;
using testing::SafetensorsBytes;
using testing::SmallConfig;
using testing::SmallTensors;
using ::testing::StartsWith;
using testing::TempFolder;
using testing::TensorToWrite;

using Tensors = std::vector<TensorToWrite>;

TensorToWrite& Named(Tensors& tensors, const std::string& name) {
  const auto found = std::ranges::find(tensors, name, &TensorToWrite::name);
  if (found == tensors.end()) throw std::runtime_error("no tensor " + name);
  return *found;
}

Tensors Without(Tensors tensors, const std::string& name) {
  std::erase_if(tensors, [&](const TensorToWrite& tensor) { return tensor.name == name; });
  return tensors;
}

std::string RefusalOfModel(const Tensors& tensors, const json& config = SmallConfig()) {
  const TempFolder folder;
  testing::WriteConfig(folder.path(), config);
  testing::WriteWeights(folder.path(), tensors);
  const std::string refusal = RefusalOf([&] { ModelFolder model(folder.path(), {}); });
  EXPECT_THAT(refusal, StartsWith(folder.path().string()));
  return refusal;
}

std::string DigestOf(const Tensors& tensors, const json& config = SmallConfig()) {
  const TempFolder folder;
  testing::WriteConfig(folder.path(), config);
  testing::WriteWeights(folder.path(), tensors);
  return ModelFolder(folder.path(), {}).Digest();
}

TEST(ModelFolder, GivesEveryWeightByItsRole) {
  const TempFolder folder;
  testing::WriteConfig(folder.path(), SmallConfig());
  Tensors tensors = SmallTensors();
  testing::WriteWeights(folder.path(), tensors);
  const ModelFolder model(folder.path(), {});
  const struct {
    WeightRole role;
    const char* name;
    int64_t rows, cols;
  } expected[] = {{WeightRole::kEmbedding, "model.embed_tokens.weight", 16, 8},
                  {WeightRole::kInputNorm, "model.layers.0.input_layernorm.weight", 1, 8},
                  {WeightRole::kQuery, "model.layers.0.self_attn.q_proj.weight", 8, 8},
                  {WeightRole::kKey, "model.layers.0.self_attn.k_proj.weight", 4, 8},
                  {WeightRole::kValue, "model.layers.0.self_attn.v_proj.weight", 4, 8},
                  {WeightRole::kOutput, "model.layers.0.self_attn.o_proj.weight", 8, 8},
                  {WeightRole::kFfnNorm, "model.layers.0.post_attention_layernorm.weight", 1, 8},
                  {WeightRole::kGate, "model.layers.0.mlp.gate_proj.weight", 12, 8},
                  {WeightRole::kUp, "model.layers.0.mlp.up_proj.weight", 12, 8},
                  {WeightRole::kDown, "model.layers.0.mlp.down_proj.weight", 8, 12},
                  {WeightRole::kFinalNorm, "model.norm.weight", 1, 8},
                  {WeightRole::kHead, "lm_head.weight", 16, 8}};
  for (const auto& [role, name, rows, cols] : expected) {
    const TensorView view = model.Get(role, 0);
    EXPECT_EQ(view.rows, rows) << name;
    EXPECT_EQ(view.cols, cols) << name;
    EXPECT_EQ(std::string(reinterpret_cast<const char*>(view.data),
                          static_cast<size_t>(rows * cols * SizeOf(view.dtype))),
              Named(tensors, name).bytes)
        << name;
  }
  EXPECT_EQ(model.stored(), DType::kF32);
  EXPECT_EQ(model.FindNonFinite(), "");
}

TEST(ModelFolder, RefusesEveryTensorThatIsMissing) {
  for (const TensorToWrite& tensor : SmallTensors()) {
    EXPECT_THAT(RefusalOfModel(Without(SmallTensors(), tensor.name)),
                HasSubstr("tensor " + tensor.name + " is missing"));
  }
  json config = SmallConfig();
  config["num_hidden_layers"] = 60'000;
  EXPECT_THAT(RefusalOfModel(SmallTensors(), config),
              HasSubstr("tensor model.layers.1.input_layernorm.weight is missing"));
}

TEST(ModelFolder, RefusesEveryTensorOfAnotherShape) {
  for (const TensorToWrite& tensor : SmallTensors()) {
    Tensors tensors = SmallTensors();
    TensorToWrite& wrong = Named(tensors, tensor.name);
    wrong.shape.push_back(1);  // as many numbers as before
    EXPECT_THAT(RefusalOfModel(tensors), HasSubstr("tensor " + tensor.name + " is ["));
    wrong.shape = {0};
    wrong.bytes = "";
    EXPECT_THAT(RefusalOfModel(tensors), HasSubstr("tensor " + tensor.name + " is [0], "));
  }
  Tensors turned = SmallTensors();
  std::ranges::reverse(Named(turned, "model.layers.0.mlp.up_proj.weight").shape);
  EXPECT_THAT(RefusalOfModel(turned), HasSubstr("is [8, 12], config.json asks for [12, 8]"));
}

TEST(ModelFolder, TakesHalfFormatsAndRefusesOthersByName) {
  for (const char* dtype : {"F16", "BF16", "I16", "F64", "F8_E4M3"}) {
    Tensors tensors = SmallTensors();
    TensorToWrite& norm = Named(tensors, "model.norm.weight");
    norm.dtype = dtype;
    norm.bytes.assign(norm.dtype == "F64" ? 64 : norm.dtype == "F8_E4M3" ? 8 : 16, '\0');
    if (norm.dtype == "F16" || norm.dtype == "BF16") {
      const TempFolder folder;
      testing::WriteConfig(folder.path(), SmallConfig());
      testing::WriteWeights(folder.path(), tensors);
      const ModelFolder model(folder.path(), {});
      const DType expected = norm.dtype == "F16" ? DType::kF16 : DType::kBF16;
      EXPECT_EQ(model.Get(WeightRole::kFinalNorm, 0).dtype, expected);
      EXPECT_EQ(model.Get(WeightRole::kHead, 0).dtype, DType::kF32);
      EXPECT_EQ(model.stored(), expected);
    } else {
      EXPECT_THAT(RefusalOfModel(tensors),
                  HasSubstr("tensor model.norm.weight is of type " + norm.dtype));
    }
  }
}

TEST(ModelFolder, ATiedHeadIsTheEmbedding) {
  const TempFolder folder;
  json config = SmallConfig();
  config["tie_word_embeddings"] = true;
  testing::WriteConfig(folder.path(), config);
  testing::WriteWeights(folder.path(), Without(SmallTensors(), "lm_head.weight"));
  const ModelFolder model(folder.path(), {});
  EXPECT_EQ(model.Get(WeightRole::kHead, 0).data, model.Get(WeightRole::kEmbedding, 0).data);
  // A file may hold a head that nothing reads: the config has the word.
  testing::WriteWeights(folder.path(), SmallTensors());
  const ModelFolder both(folder.path(), {});
  EXPECT_EQ(both.Get(WeightRole::kHead, 0).data, both.Get(WeightRole::kEmbedding, 0).data);
}

TEST(ModelFolder, ShardsGiveTheSameWeightsAndDigestAsOneFile) {
  const Tensors all = SmallTensors();
  const TempFolder one, many;
  testing::WriteConfig(one.path(), SmallConfig());
  testing::WriteConfig(many.path(), SmallConfig());
  Tensors reversed = all;
  std::ranges::reverse(reversed);
  testing::WriteWeights(one.path(), reversed);
  testing::WriteShards(many.path(), {{all.begin() + 5, all.end()}, {all.begin(), all.begin() + 5}});
  const ModelFolder whole(one.path(), {}), sharded(many.path(), {});
  EXPECT_EQ(sharded.Digest(), whole.Digest());
  EXPECT_EQ(DigestOf(all), whole.Digest());
  EXPECT_EQ(whole.Digest().size(), 64u);
}

TEST(ModelFolder, DigestChangesWithEveryWeightAndWithTheConfig) {
  const Tensors tensors = SmallTensors();
  const std::string digest = DigestOf(tensors);
  for (size_t i = 0; i < tensors.size(); ++i) {
    Tensors changed = tensors;
    changed[i].bytes.back() = static_cast<char>(changed[i].bytes.back() ^ 1);
    EXPECT_NE(DigestOf(changed), digest) << tensors[i].name;
  }
  for (const json& change : {json{{"rms_norm_eps", 1e-6}}, json{{"rope_theta", 501.0}},
                             json{{"model_type", "mistral"}, {"sliding_window", 8}},
                             json{{"tie_word_embeddings", true}}}) {
    json config = SmallConfig();
    config.update(change);
    EXPECT_NE(DigestOf(tensors, config), digest) << change;
  }
  json equal = SmallConfig();
  equal["use_cache"] = true;  // nothing that a score depends on
  EXPECT_EQ(DigestOf(tensors, equal), digest);
}

TEST(ModelFolder, DigestChangesWithEveryFactorOfTheConfig) {
  const Tensors tensors = SmallTensors();
  const json block = {{"rope_type", "longrope"},
                      {"short_factor", {1.0, 1.5}},
                      {"long_factor", {1.0, 8.0}},
                      {"attention_factor", 1.25}};
  json config = SmallConfig();
  config.update({{"rope_scaling", block},
                 {"original_max_position_embeddings", 32},
                 {"max_position_embeddings", 256},
                 {"longrope_start_tokens", 16}});
  std::set<std::string> digests = {DigestOf(tensors), DigestOf(tensors, config)};
  size_t count = 2;
  for (const json& change :
       {json{{"longrope_start_tokens", 15}}, json{{"longrope_start_tokens", 0}},
        json{{"original_max_position_embeddings", 33}}, json{{"max_position_embeddings", 512}},
        json{{"rope_scaling", {{"short_factor", {1.0, 1.6}}}}},
        json{{"rope_scaling", {{"long_factor", {1.0, 9.0}}}}},
        json{{"rope_scaling", {{"attention_factor", 1.2}}}}}) {
    json changed = config;
    changed.merge_patch(change);
    digests.insert(DigestOf(tensors, changed));
    EXPECT_EQ(digests.size(), ++count) << change;
  }
  json equal = config;
  equal["auto_map"] = {{"AutoModel", "a.B"}};  // how others find code says nothing of a score
  EXPECT_TRUE(digests.contains(DigestOf(tensors, equal)));
}

TEST(ModelFolder, RefusesATensorThatTwoShardsHold) {
  const TempFolder folder;
  testing::WriteConfig(folder.path(), SmallConfig());
  testing::WriteShards(folder.path(), {SmallTensors(), {SmallTensors()[2]}});
  EXPECT_THAT(RefusalOf([&] { ModelFolder model(folder.path(), {}); }),
              HasSubstr("tensor model.layers.0.input_layernorm.weight stands in another shard"));
}

TEST(ModelFolder, RefusesShardsThatDoNotStandBesideTheIndex) {
  const TempFolder outer;
  testing::WriteFile(outer.path() / "x.safetensors", SafetensorsBytes(SmallTensors()));
  const auto folder = outer.path() / "model";
  std::filesystem::create_directory(folder);
  testing::WriteConfig(folder, SmallConfig());
  for (const std::string& name :
       {std::string("../x.safetensors"), (outer.path() / "x.safetensors").string(),
        std::string("a/../../x.safetensors"), std::string("./x"), std::string(".."),
        std::string("x/"), std::string("")}) {
    testing::WriteFile(folder / "model.safetensors.index.json",
                       json{{"weight_map", {{"model.norm.weight", name}}}}.dump());
    EXPECT_THAT(RefusalOf([&] { ModelFolder model(folder, {}); }),
                HasSubstr("model.safetensors.index.json: weight_map: model.norm.weight: '" + name +
                          "' is not a file name"));
  }
  for (const char* name : {".", "none.safetensors", "x\ny"}) {
    testing::WriteFile(folder / "model.safetensors.index.json",
                       json{{"weight_map", {{"model.norm.weight", name}}}}.dump());
    EXPECT_NE(RefusalOf([&] { ModelFolder model(folder, {}); }), "") << name;
  }
}

TEST(ModelFolder, RefusesAnIndexThatIsNone) {
  const TempFolder folder;
  testing::WriteConfig(folder.path(), SmallConfig());
  EXPECT_THAT(RefusalOf([&] { ModelFolder model(folder.path(), {}); }),
              HasSubstr("holds neither model.safetensors nor model.safetensors.index.json"));
  for (const char* index : {"{}", "[]", R"({"weight_map":{}})", R"({"weight_map":[]})",
                            R"({"weight_map":{"a":1}})", R"({"weight_map":{"a":null}})", "x"}) {
    testing::WriteFile(folder.path() / "model.safetensors.index.json", index);
    EXPECT_THAT(RefusalOf([&] { ModelFolder model(folder.path(), {}); }),
                HasSubstr("model.safetensors.index.json: "))
        << index;
  }
}

TEST(ModelFolder, FindsAWeightThatIsNotFiniteByName) {
  for (float bad : {std::nanf(""), std::numeric_limits<float>::infinity(), -HUGE_VALF}) {
    const TempFolder folder;
    testing::WriteConfig(folder.path(), SmallConfig());
    Tensors tensors = SmallTensors();
    Named(tensors, "model.layers.0.mlp.up_proj.weight").bytes.replace(4 * 77, 4, FloatBytes({bad}));
    testing::WriteWeights(folder.path(), tensors);
    EXPECT_EQ(ModelFolder(folder.path(), {}).FindNonFinite(),
              "tensor model.layers.0.mlp.up_proj.weight, element 77");
  }
}

// Whatever the sizes beside it say, a tensor with a zero among them has nothing in it.
TEST(ModelFolder, LooksForNonFiniteNumbersWhereThereAreBytes) {
  const TempFolder folder;
  testing::WriteConfig(folder.path(), SmallConfig());
  Tensors tensors = SmallTensors();
  for (const std::vector<int64_t>& shape :
       {std::vector<int64_t>{int64_t{1} << 60, 0}, {0, int64_t{1} << 60}, {0}}) {
    tensors.push_back({"extra." + std::to_string(tensors.size()), "F32", shape, ""});
  }
  tensors.push_back({"scalar", "F32", {}, FloatBytes({1})});
  testing::WriteWeights(folder.path(), tensors);
  EXPECT_EQ(ModelFolder(folder.path(), {}).FindNonFinite(), "");
  tensors.back().bytes = FloatBytes({std::nanf("")});
  testing::WriteWeights(folder.path(), tensors);
  EXPECT_EQ(ModelFolder(folder.path(), {}).FindNonFinite(), "tensor scalar, element 0");
}

TEST(ModelFolder, FindsNonFiniteHalfPrecisionNumbers) {
  const struct {
    const char* dtype;
    const char* bytes;
  } cases[] = {
      {"F16", "\x00\x7c"}, {"F16", "\x01\x7c"}, {"BF16", "\x80\x7f"}, {"BF16", "\xc0\xff"}};
  for (const auto& [dtype, bytes] : cases) {
    const TempFolder folder;
    testing::WriteConfig(folder.path(), SmallConfig());
    Tensors tensors = SmallTensors();
    TensorToWrite& norm = Named(tensors, "model.norm.weight");
    norm.dtype = dtype;
    norm.bytes = std::string(16, '\0').replace(6, 2, bytes, 2);
    testing::WriteWeights(folder.path(), tensors);
    EXPECT_EQ(ModelFolder(folder.path(), {}).FindNonFinite(), "tensor model.norm.weight, element 3")
        << dtype;
  }
}

}  // namespace
}  // namespace longrope
