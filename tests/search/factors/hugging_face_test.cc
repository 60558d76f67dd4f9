#include "search/factors/hugging_face.h"

#include <gtest/gtest.h>
#include <sys/stat.h>

#include <map>

#include "eval/model/model_config.h"
#include "search/factors/model_file.h"
#include "tests/support/faulty_file_system.h"
#include "tests/support/refusal.h"
#include "tests/support/temp_folder.h"

namespace longrope {
namespace {
namespace fs = std::filesystem;

using testing::SlurpFile;
using testing::TempFolder;
using testing::WriteFile;

FileBucket Bucket(int64_t length, std::vector<float> lambda, int64_t start, double m) {
  FileBucket bucket;
  bucket.length = length;
  bucket.factors.lambda = std::move(lambda);
  bucket.factors.start_tokens = start;
  bucket.factors.attention_factor = m;
  return bucket;
}

// `start`: n-hat of the longest bucket.
FactorFile Factors(int64_t start = 0) {
  FactorFile file;
  file.original_length = 256;
  file.rope_base = 10000;
  file.head_dim = 8;
  file.buckets.push_back(Bucket(512, {1, 1, 1, 1}, 0, 1));
  file.buckets.push_back(Bucket(2048, {1, 1.1f, 3.3333333f, 8}, start, 1.1726));
  return file;
}

constexpr const char* kConfig = R"({
  "zebra": {"kept": [1, 2.50, null]}, "model_type": "llama", "num_hidden_layers": 1,
  "hidden_size": 16, "num_attention_heads": 2, "intermediate_size": 8, "vocab_size": 10,
  "max_position_embeddings": 256, "rope_theta": 10000.0, "rms_norm_eps": 1e-05,
  "rope_scaling": null, "architectures": ["LlamaForCausalLM"]})";

TEST(HuggingFaceFragment, HoldsTheKeysThatEveryRuntimeReads) {
  const auto json = HuggingFaceFragment(Factors(), "f", ShortFactors::kSame, "llama");
  EXPECT_EQ(json["max_position_embeddings"].dump(), "2048");
  EXPECT_EQ(json["original_max_position_embeddings"].dump(), "256");
  EXPECT_EQ(json["rope_theta"].dump(), "10000.0");
  EXPECT_EQ(json["rope_scaling"], json["rope_parameters"]);
  EXPECT_FALSE(json.contains("sliding_window"));
  const auto& block = json["rope_scaling"];
  EXPECT_EQ(block["rope_type"], "longrope");
  EXPECT_FALSE(block.contains("type"));      // exllamav2 refuses both
  EXPECT_EQ(block["factor"].dump(), "8.0");  // a Python float, or transformers 4 warns
  EXPECT_EQ(block["original_max_position_embeddings"].dump(), "256");
  EXPECT_EQ(block["rope_theta"].dump(), "10000.0");
  for (const char* key : {"attention_factor", "short_mscale", "long_mscale"}) {
    EXPECT_EQ(block[key].dump(), "1.1726") << key;
  }
  EXPECT_EQ(block["long_factor"].dump(), "[1.0,1.1,3.3333333,8.0]");
  EXPECT_EQ(block["short_factor"], block["long_factor"]);
}

TEST(HuggingFaceFragment, WritesAnAttentionFactorOfOneToo) {
  FactorFile file = Factors();
  file.buckets.back().factors.attention_factor = 1;
  const auto json = HuggingFaceFragment(file, "f", ShortFactors::kSame, "");
  EXPECT_EQ(json["rope_scaling"]["attention_factor"].dump(), "1.0");
  EXPECT_EQ(json["rope_scaling"]["long_mscale"].dump(), "1.0");
}

TEST(HuggingFaceFragment, OnesAreThePlainRotation) {
  const auto json = HuggingFaceFragment(Factors(), "f", ShortFactors::kOnes, "llama");
  EXPECT_EQ(json["rope_scaling"]["short_factor"].dump(), "[1.0,1.0,1.0,1.0]");
  EXPECT_EQ(json["rope_scaling"]["long_factor"].dump(), "[1.0,1.1,3.3333333,8.0]");
}

TEST(HuggingFaceFragment, AMistralLosesItsWindow) {
  const auto json = HuggingFaceFragment(Factors(), "f", ShortFactors::kSame, "mistral");
  ASSERT_TRUE(json.contains("sliding_window"));
  EXPECT_TRUE(json["sliding_window"].is_null());
}

TEST(HuggingFaceFragment, NamesTheModelFileForStartTokensOnly) {
  for (const auto& [family, name] : {std::pair("llama", "Llama"), {"mistral", "Mistral"}}) {
    auto json = HuggingFaceFragment(Factors(16), "f", ShortFactors::kSame, family);
    EXPECT_EQ(json["longrope_start_tokens"].dump(), "16");
    const std::string class_name = std::string("LongRope") + name + "ForCausalLM";
    EXPECT_EQ(json["auto_map"]["AutoModelForCausalLM"], "modeling_longrope." + class_name);
    EXPECT_EQ(json["architectures"].dump(), "[\"" + class_name + "\"]");
    for (const char* key : {"longrope_start_tokens", "auto_map", "architectures"}) json.erase(key);
    EXPECT_EQ(json, HuggingFaceFragment(Factors(0), "f", ShortFactors::kSame, family));
  }
}

TEST(HuggingFaceFragment, StartTokensNeedAFamily) {
  EXPECT_REFUSED(HuggingFaceFragment(Factors(16), "the/file", ShortFactors::kSame, ""),
                 "the/file: start tokens can only be kept for a model whose family is known");
}

TEST(HuggingFaceFragment, NeedsLengthsAndBase) {
  for (const int missing : {0, 1, 2}) {
    FactorFile file = Factors();
    if (missing == 0) file.original_length = 0;
    if (missing == 1) file.rope_base = 0;
    if (missing == 2) file.buckets.back().length = 0;
    EXPECT_REFUSED(HuggingFaceFragment(file, "the/file", ShortFactors::kSame, ""), "the/file: ");
  }
}

class ExportFolder : public ::testing::Test {
 protected:
  ExportFolder() {
    fs::create_directory(model_);
    WriteFile(model_ / "config.json", kConfig);
    WriteFile(model_ / "model.safetensors", "weights");
    WriteFile(model_ / "tokenizer.model", "pieces");
    fs::create_directory(model_ / "subfolder");
  }
  void Export(FileSystem& files, const fs::path& out, const FactorFile& file = Factors()) {
    Export(files, model_, out, file);
  }
  void Export(FileSystem& files, const fs::path& model, const fs::path& out,
              const FactorFile& file) {
    ExportModelFolder(files, model, out,
                      HuggingFaceFragment(file, "f", ShortFactors::kSame, "llama"),
                      file.Longest().factors);
  }
  static nlohmann::ordered_json ConfigOf(const fs::path& folder) {
    return nlohmann::ordered_json::parse(SlurpFile(folder / "config.json"));
  }
  std::map<std::string, std::string> Contents() const {
    std::map<std::string, std::string> all;
    for (const auto& entry : fs::recursive_directory_iterator(folder_.path())) {
      all[entry.path().string()] = entry.is_directory() ? "folder" : SlurpFile(entry.path());
    }
    return all;
  }

  TempFolder folder_;
  fs::path model_ = folder_ / "model", out_ = folder_ / "out";
};

TEST_F(ExportFolder, ReadsBackAsTheFactorsThatWereMeant) {
  Export(FileSystem::Real(), out_);
  const ModelConfig config = ReadModelConfig(out_, {});
  ASSERT_TRUE(config.own_factors.has_value());
  const auto& buckets = config.own_factors->set.buckets;
  EXPECT_EQ(buckets.back().factors.lambda, Factors().Longest().factors.lambda);
  EXPECT_EQ(buckets.front().factors.lambda, Factors().Longest().factors.lambda);
  EXPECT_EQ(buckets.back().factors.attention_factor, 1.1726);
  EXPECT_EQ(buckets.back().length, 2048);
  EXPECT_EQ(config.OriginalLength(), 256);
  EXPECT_EQ(config.rope_base, 10000);
}

TEST_F(ExportFolder, KeepsTheOtherKeysAndTheirOrder) {
  Export(FileSystem::Real(), out_);
  const auto config = ConfigOf(out_);
  EXPECT_EQ(config.begin().key(), "zebra");
  EXPECT_EQ(config["zebra"].dump(), R"({"kept":[1,2.5,null]})");
  EXPECT_EQ(config["architectures"][0], "LlamaForCausalLM");
  EXPECT_EQ(config["rms_norm_eps"], 1e-05);
  EXPECT_EQ(config["max_position_embeddings"], 2048);
}

TEST_F(ExportFolder, LinksWhatIsLargeAndLeavesTheModelAsItWas) {
  const auto before = Contents();
  Export(FileSystem::Real(), out_);
  struct stat a {
  }, b{};
  ASSERT_EQ(::stat((model_ / "model.safetensors").c_str(), &a), 0);
  ASSERT_EQ(::stat((out_ / "model.safetensors").c_str(), &b), 0);
  EXPECT_EQ(a.st_ino, b.st_ino);
  EXPECT_EQ(SlurpFile(out_ / "tokenizer.model"), "pieces");
  EXPECT_FALSE(fs::exists(out_ / "subfolder"));
  EXPECT_EQ(SlurpFile(model_ / "config.json"), kConfig);
  fs::remove_all(out_);
  EXPECT_EQ(Contents(), before);
}

TEST_F(ExportFolder, CopiesWhereTheFileSystemCannotLink) {
  testing::FaultyFileSystem files;
  files.error = EXDEV;
  files.fail_at = 1;  // after the folder
  Export(files, out_);
  EXPECT_TRUE(files.calls.at(1).starts_with("link "));
  EXPECT_EQ(SlurpFile(out_ / "model.safetensors"), "weights");
  EXPECT_EQ(SlurpFile(out_ / "tokenizer.model"), "pieces");
}

TEST_F(ExportFolder, FollowsTheLinksOfAModelCache) {
  fs::create_directory(folder_ / "blobs");
  for (const char* name : {"config.json", "model.safetensors"}) {
    fs::rename(model_ / name, folder_ / "blobs" / name);
    fs::create_symlink(fs::path("../blobs") / name, model_ / name);
  }
  Export(FileSystem::Real(), out_);
  EXPECT_FALSE(fs::is_symlink(out_ / "model.safetensors"));
  EXPECT_FALSE(fs::is_symlink(out_ / "config.json"));
  EXPECT_EQ(SlurpFile(out_ / "model.safetensors"), "weights");
  EXPECT_EQ(SlurpFile(folder_ / "blobs/config.json"), kConfig);
}

TEST_F(ExportFolder, RefusesALinkToNothing) {
  fs::remove(model_ / "model.safetensors");
  fs::create_symlink("../blobs/gone", model_ / "model.safetensors");
  EXPECT_THROW(Export(FileSystem::Real(), out_), InputError);
  EXPECT_FALSE(fs::exists(out_));
}

TEST_F(ExportFolder, AnExistingPlaceIsRefusedAndKept) {
  fs::create_directory(out_);
  WriteFile(out_ / "mine", "x");
  const auto before = Contents();
  EXPECT_REFUSED(Export(FileSystem::Real(), out_), "exists; allowed: a new folder");
  EXPECT_REFUSED(Export(FileSystem::Real(), model_), "exists");
  EXPECT_EQ(Contents(), before);
}

TEST_F(ExportFolder, ATrailingSlashIsNoOtherPlace) {
  Export(FileSystem::Real(), out_.string() + "/");
  EXPECT_TRUE(fs::exists(out_ / "config.json"));
  EXPECT_EQ(Contents().size(), 9u);  // the model and its four, out and its three
}

TEST_F(ExportFolder, AnyFailingCallLeavesNothingBehind) {
  const FactorFile factors = Factors(16);  // with the model file, a call more
  testing::FaultyFileSystem counted;
  Export(counted, out_, factors);
  fs::remove_all(out_);
  const auto before = Contents();
  const auto calls = static_cast<int64_t>(counted.calls.size());
  ASSERT_GE(calls, 10);
  int refused = 0;
  for (const int error : {EIO, ENOSPC, EROFS}) {
    for (int64_t n = 0; n < calls; ++n) {
      testing::FaultyFileSystem files;
      files.fail_at = n;
      files.error = error;
      try {
        Export(files, out_, factors);
        EXPECT_EQ(ReadModelConfig(out_, {}).own_factors->Longest().factors,
                  factors.Longest().factors);
        EXPECT_EQ(SlurpFile(out_ / kModelFileName), kModelFile);
        fs::remove_all(out_);
      } catch (const InputError& refusal) {
        ++refused;
        EXPECT_EQ(std::string(refusal.what()).find('\n'), std::string::npos);
      }
      EXPECT_EQ(Contents(), before) << n << " " << files.calls.at(static_cast<size_t>(n));
    }
  }
  EXPECT_GE(refused, 3 * 6);
}

TEST_F(ExportFolder, AConfigThatCannotBeReadIsRefused) {
  for (const char* config : {"", "[]", "5", "{", "{\"a\": 1, \"a\": 2}", "{}"}) {
    WriteFile(model_ / "config.json", config);
    const auto before = Contents();
    EXPECT_REFUSED(Export(FileSystem::Real(), out_), folder_.path().string());
    EXPECT_EQ(Contents(), before) << config;
  }
  fs::remove(model_ / "config.json");
  EXPECT_REFUSED(Export(FileSystem::Real(), out_), "config.json");
  EXPECT_FALSE(fs::exists(out_));
}

TEST_F(ExportFolder, FactorsOfAnotherHeadSizeAreRefusedAndLeaveNothing) {
  FactorFile file = Factors();
  file.buckets.back().factors.lambda.push_back(9);
  const auto before = Contents();
  EXPECT_REFUSED(ExportModelFolder(FileSystem::Real(), model_, out_,
                                   HuggingFaceFragment(file, "f", ShortFactors::kSame, "llama"),
                                   file.Longest().factors),
                 "has 5 elements, expected 4");
  EXPECT_EQ(Contents(), before);
}

TEST_F(ExportFolder, KeepsStartTokensByTheModelFile) {
  Export(FileSystem::Real(), out_, Factors(16));
  EXPECT_EQ(SlurpFile(out_ / kModelFileName), kModelFile);
  const auto config = ConfigOf(out_);
  EXPECT_EQ(config["longrope_start_tokens"], 16);
  EXPECT_EQ(config["auto_map"]["AutoModelForCausalLM"],
            "modeling_longrope.LongRopeLlamaForCausalLM");
  const auto own = ReadModelConfig(out_, {}).own_factors;
  EXPECT_EQ(own->Longest().factors, Factors(16).Longest().factors);
  EXPECT_EQ(own->set.buckets.front().factors.start_tokens, 16);
}

TEST_F(ExportFolder, WithoutStartTokensNothingOfItIsWritten) {
  Export(FileSystem::Real(), out_);
  EXPECT_FALSE(fs::exists(out_ / kModelFileName));
  const auto config = ConfigOf(out_);
  EXPECT_FALSE(config.contains("longrope_start_tokens"));
  EXPECT_FALSE(config.contains("auto_map"));
}

TEST_F(ExportFolder, AnExportOfAnExportIsAsIfOfTheModel) {
  const fs::path kept = folder_ / "kept";
  Export(FileSystem::Real(), kept, Factors(16));
  for (const int64_t start : {0, 8}) {
    const fs::path direct = folder_ / "direct", again = folder_ / "again";
    FactorFile file = Factors(start);
    file.buckets.back().factors.lambda = {1, 2, 3, 4};
    Export(FileSystem::Real(), model_, direct, file);
    Export(FileSystem::Real(), kept, again, file);
    EXPECT_EQ(nlohmann::json(ConfigOf(again)), nlohmann::json(ConfigOf(direct))) << start;
    EXPECT_EQ(fs::exists(again / kModelFileName), start > 0);
    fs::remove_all(direct);
    fs::remove_all(again);
  }
}

TEST_F(ExportFolder, AnotherVersionOfTheModelFileGivesWayToThisOne) {
  const fs::path kept = folder_ / "kept";
  Export(FileSystem::Real(), kept, Factors(16));
  const std::string older =
      std::string(kModelFile.substr(0, kModelFile.find('\n') + 1)) + "import torch\n";
  WriteFile(kept / kModelFileName, older);
  Export(FileSystem::Real(), kept, out_, Factors(8));
  EXPECT_EQ(SlurpFile(out_ / kModelFileName), kModelFile);
  EXPECT_EQ(SlurpFile(kept / kModelFileName), older);
}

TEST_F(ExportFolder, CodeOfTheModelsOwnIsRefusedWhereTheModelFileIsNeededOnly) {
  auto config = nlohmann::ordered_json::parse(kConfig);
  config["auto_map"] = {{"AutoModelForCausalLM", "modeling_mine.Mine"}};
  WriteFile(model_ / "config.json", config.dump());
  const auto before = Contents();
  EXPECT_REFUSED(Export(FileSystem::Real(), out_, Factors(16)),
                 "model/config.json: auto_map: the model brings code of its own");
  EXPECT_EQ(Contents(), before);
  Export(FileSystem::Real(), out_);
  EXPECT_EQ(ConfigOf(out_)["auto_map"], config["auto_map"]);
}

TEST_F(ExportFolder, AForeignFileByThatNameIsRefusedWhereTheModelFileIsNeededOnly) {
  WriteFile(model_ / kModelFileName, "import mine\n");
  const auto before = Contents();
  EXPECT_REFUSED(Export(FileSystem::Real(), out_, Factors(16)),
                 "model/modeling_longrope.py: is not of this program");
  EXPECT_EQ(Contents(), before);
  Export(FileSystem::Real(), out_);
  EXPECT_EQ(SlurpFile(out_ / kModelFileName), "import mine\n");
}

TEST_F(ExportFolder, AFragmentOfOtherStartTokensIsSeenWhenReadBack) {
  const auto before = Contents();
  const auto export_of = [&](int64_t written, int64_t meant) {
    ExportModelFolder(FileSystem::Real(), model_, out_,
                      HuggingFaceFragment(Factors(written), "f", ShortFactors::kSame, "llama"),
                      Factors(meant).Longest().factors);
  };
  EXPECT_REFUSED(export_of(0, 16), "reads back differently");
  EXPECT_REFUSED(export_of(16, 0), "reads back differently");
  EXPECT_REFUSED(export_of(16, 15), "reads back differently");
  EXPECT_EQ(Contents(), before);
}

}  // namespace
}  // namespace longrope
