#include "eval/model/gguf_model.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "eval/backend.h"
#include "eval/model/model_folder.h"
#include "eval/scorer.h"
#include "tests/support/half.h"
#include "tests/support/small_model.h"
#include "tests/support/spoilt_gguf.h"

namespace longrope {
namespace {

using testing::FloatBytes;
using testing::GgufBytes;
using testing::GgufF32;
using testing::GgufOf;
using testing::GgufText;
using testing::GgufToWrite;
using testing::GgufU32;
using ::testing::HasSubstr;
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

using GgufModelTest = testing::SpoiltGguf;

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

TEST_F(GgufModelTest, EveryBitFlipIsRefusedOrLoads) {
  GgufToWrite file = SmallGguf();
  file.tensors.push_back({"rope_freqs.weight", {2}, 0, FloatBytes({1, 4}), {}});
  const std::string sound = GgufBytes(file);
  const size_t header = sound.find("output.weight") + 50;
  int refused = 0, loaded = 0;
  uint32_t state = 9;
  for (int i = 0; i < 600; ++i) {
    state = state * 1664525u + 1013904223u;
    std::string bytes = sound;
    bytes[(state >> 8) % header] ^= static_cast<char>(1 << (state >> 29));
    WriteFile(folder_ / "m.gguf", bytes);
    try {
      const GgufModel model(folder_ / "m.gguf", {});
      EXPECT_EQ(model.Digest().size(), 64u);
      model.FindNonFinite();
      ++loaded;
    } catch (const InputError&) {
      ++refused;
    }
  }
  EXPECT_GT(refused, 200);
  EXPECT_GT(loaded, 10);
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

TEST(ModelSource, AGgufFileIsKnownByItsBeginWhateverItsName) {
  TempFolder folder;
  for (const char* name : {"m.GGUF", "sha256-0a1b"}) {
    WriteFile(folder / name, GgufBytes(SmallGguf()));
    EXPECT_EQ(ModelConfigOf(folder / name, {}).shape.vocab, 16) << name;
  }
  WriteFile(folder / "m.bin", "GGU");
  EXPECT_REFUSED(OpenModel(folder / "m.bin", {}), "m.bin: is neither a folder nor a GGUF file");
}

}  // namespace
}  // namespace longrope
