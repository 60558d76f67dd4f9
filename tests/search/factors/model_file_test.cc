#include "search/factors/model_file.h"

#include <gtest/gtest.h>

#include "tests/support/temp_folder.h"

namespace longrope {
namespace {

using Json = nlohmann::ordered_json;

TEST(ModelFile, IsTheSourceToTheByte) {
  const std::string source =
      testing::SlurpFile(testing::SourcePath("search/factors/modeling_longrope.py"));
  EXPECT_EQ(kModelFile, source);
  EXPECT_TRUE(source.starts_with("# longrope: "));
  for (const char* name : {"class LongRopeLlamaModel(", "class LongRopeLlamaForCausalLM(",
                           "class LongRopeMistralModel(", "class LongRopeMistralForCausalLM(",
                           "longrope_start_tokens"}) {
    EXPECT_NE(source.find(name), std::string::npos) << name;
  }
}

TEST(ModelFile, IsKnownByItsFirstLine) {
  const std::string first(kModelFile.substr(0, kModelFile.find('\n')));
  EXPECT_TRUE(IsOurModelFile(kModelFile));
  EXPECT_TRUE(IsOurModelFile(first + "\nimport another_version\n"));
  for (const std::string& text : {std::string(), std::string("import torch\n"), first,
                                  first + ", mine\n", "\n" + first + "\n"}) {
    EXPECT_FALSE(IsOurModelFile(text)) << text;
  }
}

TEST(ModelFile, IsNamedByTheClassesOfTheFamily) {
  for (const auto& [family, stem] : {std::pair("llama", "Llama"), {"mistral", "Mistral"}}) {
    Json config = {{"architectures", {"X"}}, {"kept", 1}};
    NameModelFile(family, 16, &config);
    const std::string name = std::string("LongRope") + stem;
    EXPECT_EQ(config.dump(), R"({"architectures":[")" + name + R"(ForCausalLM"],"kept":1,)" +
                                 R"("auto_map":{"AutoModel":"modeling_longrope.)" + name +
                                 R"(Model","AutoModelForCausalLM":"modeling_longrope.)" + name +
                                 R"(ForCausalLM"},"longrope_start_tokens":16})");
    ForgetModelFile(&config);
    EXPECT_EQ(config.dump(),
              std::string(R"({"architectures":[")") + stem + R"(ForCausalLM"],"kept":1})");
  }
}

TEST(ModelFile, IsForgottenAsTransformersSavesIt) {
  Json config = Json::parse(R"({
    "auto_map": {"AutoModelForCausalLM": "me/mine--modeling_longrope.LongRopeLlamaForCausalLM",
                 "AutoTokenizer": ["a.B", null]},
    "architectures": ["LongRopeLlamaModel", "Other", 5], "longrope_start_tokens": 4})");
  ForgetModelFile(&config);
  EXPECT_EQ(
      config.dump(),
      R"({"auto_map":{"AutoTokenizer":["a.B",null]},"architectures":["LlamaModel","Other",5]})");
}

TEST(ModelFile, ForgettingLeavesWhatIsNotOurs) {
  for (const char* text :
       {R"({})", R"({"auto_map":null,"architectures":null})", R"({"auto_map":{}})",
        R"({"auto_map":"modeling_longrope.LongRopeLlamaModel"})",
        R"({"auto_map":{"AutoModel":"modeling_longrope.LongRopeOther"}})",
        R"({"auto_map":{"AutoModel":"modeling_other.LongRopeLlamaModel"}})",
        R"({"auto_map":{"AutoModel":"LongRopeLlamaModel","AutoConfig":7}})",
        R"({"architectures":["LlamaForCausalLM","LongRopeOther"]})",
        R"({"architectures":"LongRopeLlamaModel"})"}) {
    Json config = Json::parse(text);
    ForgetModelFile(&config);
    EXPECT_EQ(config.dump(), text);
  }
}

}  // namespace
}  // namespace longrope
