// Models whose own files rescale their rotation, through the program.
#include <nlohmann/json.hpp>

#include "tests/integration/program.h"

namespace longrope {
namespace {

using testing::ExpectRefused;
using testing::Longrope;
using testing::Output;
using testing::RunProcess;
using testing::TempFolder;
using Json = nlohmann::json;

// data/tiny with a rope_scaling.
std::string ScaledTiny(const TempFolder& folder, const Json& block) {
  const std::filesystem::path model = folder / "scaled";
  std::filesystem::create_directories(model);
  Json config = Json::parse(testing::SlurpFile(testing::Tiny() + "/config.json"));
  config["rope_scaling"] = block;
  testing::WriteFile(model / "config.json", config.dump());
  for (const char* name : {"model.safetensors", "tokenizer.model", "tokenizer_config.json"}) {
    std::filesystem::create_symlink(std::filesystem::path(testing::Tiny()) / name, model / name);
  }
  return model.string();
}

const Json kLinear = {{"type", "linear"}, {"factor", 1.2}};

TEST(ScaledModel, EvalScoresItAsItsFilesSayAndSaysSo) {
  const TempFolder folder;
  const std::string model = ScaledTiny(folder, {{"rope_type", "linear"}, {"factor", 4.0}});
  const auto eval = [&](std::vector<std::string> more) {
    std::vector<std::string> arguments = {"eval",   "--text",    testing::Passage(),
                                          "--json", "--lengths", "1024"};
    arguments.insert(arguments.end(), more.begin(), more.end());
    return RunProcess(Longrope(arguments));
  };
  const Output own = eval({"--model", model});
  EXPECT_NE(own.err.find("rotation: linear, factor 4, as the model's files say; m 1, start tokens "
                         "0 at 1024 tokens"),
            std::string::npos)
      << own.err;
  EXPECT_EQ(own.out, eval({"--model", testing::Tiny(), "--method", "pi"}).out);
  EXPECT_NE(own.out, eval({"--model", testing::Tiny()}).out);
  // A method is meant of the plain rotation.
  EXPECT_EQ(eval({"--model", model, "--method", "none"}).out,
            eval({"--model", testing::Tiny()}).out);
}

TEST(ScaledModel, ASearchSaysWhatItStartsFromAndMultipliesIt) {
  const TempFolder folder;
  const std::string set = "model.path=" + ScaledTiny(folder, kLinear);  // reaches 307 tokens
  const std::string job = testing::SmallJob(folder.path());
  const std::string text = "linear, factor 1.2: lambda 1.2 to 1.2, m 1, for up to 307 tokens";
  const Output dry = RunProcess(Longrope({"search", job, "--set", set, "--dry-run"}));
  EXPECT_EQ(dry.code, 0) << dry.err;
  EXPECT_NE(dry.out.find("starts from: " + text + "; genes multiply that\n"), std::string::npos)
      << dry.out;
  const Output run = RunProcess(Longrope({"search", job, "--set", set}));
  ASSERT_EQ(run.code, 0) << run.err;
  EXPECT_NE(run.err.find("starts from a rotation that is rescaled already (" + text +
                         "); what it finds multiplies that"),
            std::string::npos)
      << run.err;
  const Json found = Json::parse(testing::SlurpFile(folder / "run/factors.json"));
  EXPECT_GE(found["lambda"][0].get<double>(), 1.2);
  // Rows of the table: the model as it is, and methods on top of it.
  EXPECT_NE(run.out.find("unchanged"), std::string::npos) << run.out;
}

TEST(ScaledModel, ASearchWithinWhatItReachesIsRefused) {
  const TempFolder folder;
  const std::string model = ScaledTiny(folder, {{"type", "linear"}, {"factor", 4.0}});
  ExpectRefused(RunProcess(Longrope(
                    {"search", testing::SmallJob(folder.path()), "--set", "model.path=" + model})),
                {"stages.a.length: 320; allowed: above the length that the model's factors reach, "
                 "1024"});
}

}  // namespace
}  // namespace longrope
