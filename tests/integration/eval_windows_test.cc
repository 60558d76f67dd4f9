// `eval --stride` on data/tiny, against what transformers computed.
#include <cmath>
#include <nlohmann/json.hpp>

#include "tests/integration/program.h"
#include "tests/support/compare.h"

namespace longrope {
namespace {

using testing::CloseRelative;
using testing::ExpectRefused;
using testing::Longrope;
using testing::Output;
using testing::RunProcess;
using testing::TempFolder;
using Json = nlohmann::json;

Json Golden() {
  return Json::parse(
      testing::SlurpFile(testing::SourcePath("tests/golden/transformers/sliding_window.json")));
}

Json GoldenCase(const std::string& name, int64_t window, int64_t stride) {
  const Json golden = Golden();
  for (const Json& one : golden["cases"]) {
    if (one["name"] == name && one["window"] == window && one["stride"] == stride) return one;
  }
  throw std::runtime_error("no golden case " + name);
}

Output Eval(std::vector<std::string> more) {
  std::vector<std::string> arguments = {
      "eval",      "--model", testing::Tiny(), "--text", testing::Passage(),
      "--lengths", "700",     "--json"};
  arguments.insert(arguments.end(), more.begin(), more.end());
  return RunProcess(Longrope(arguments));
}

void ExpectGolden(const Output& output, const std::string& name, int64_t window, int64_t stride) {
  ASSERT_EQ(output.code, 0) << output.err;
  const Json line = Json::parse(output.out), golden = GoldenCase(name, window, stride);
  EXPECT_TRUE(CloseRelative(line["nats"], golden["total_nats"], 1e-5));
  EXPECT_EQ(line["length"], 700);
  EXPECT_EQ(line["window"], window);
  EXPECT_EQ(line["stride"], stride);
  EXPECT_EQ(line["windows"], golden["windows"].size());
  EXPECT_EQ(line["tokens"], golden["tokens"]);
  EXPECT_TRUE(CloseRelative(line["perplexity"],
                            std::exp(line["nats"].get<double>() / line["tokens"].get<double>()),
                            1e-12));
}

std::string FactorFileOf(const TempFolder& folder) {
  const Json golden = Golden();
  const Json factors = {{"lambda", golden["lambda"]},
                        {"attention_factor", golden["attention_factor"]},
                        {"target_length", 511}};
  testing::WriteFile(folder / "f.json", factors.dump());
  return folder / "f.json";
}

TEST(EvalWindows, GiveTheLossOfTransformers) {
  ExpectGolden(Eval({"--stride", "64", "--window", "256"}), "none", 256, 64);
  ExpectGolden(Eval({"--stride", "256", "--window", "256"}), "none", 256, 256);
  const TempFolder folder;
  ExpectGolden(Eval({"--stride", "64", "--window", "256", "--factors", FactorFileOf(folder)}),
               "longrope", 256, 64);
}

TEST(EvalWindows, AreByDefaultAsLongAsTheRotationIsMadeFor) {
  ExpectGolden(Eval({"--stride", "64"}), "none", 256, 64);
  const TempFolder folder;
  const std::string factors = FactorFileOf(folder);
  ExpectGolden(Eval({"--stride", "100", "--factors", factors}), "longrope", 511, 100);
  const Output by_target = Eval({"--stride", "100", "--method", "pi", "--target", "511"});
  ASSERT_EQ(by_target.code, 0) << by_target.err;
  EXPECT_EQ(Json::parse(by_target.out)["window"], 511);
  ExpectRefused(Eval({"--stride", "100", "--method", "pi"}), {"--window", "is required"});
}

TEST(EvalWindows, AMethodScalesToTheWindowAndNotToTheText) {
  const Output window = Eval({"--stride", "100", "--window", "511", "--method", "pi"});
  const Output target =
      Eval({"--stride", "100", "--window", "511", "--method", "pi", "--target", "511"});
  ASSERT_EQ(window.code, 0) << window.err;
  EXPECT_EQ(window.out, target.out);
  EXPECT_NE(window.err.find("windows of 511 tokens, one every 100"), std::string::npos)
      << window.err;
}

TEST(EvalWindows, OneThatHoldsTheTextIsThePlainPass) {
  const Output plain = Eval({"--method", "yarn"});
  const Output held = Eval({"--method", "yarn", "--stride", "9", "--window", "4096"});
  ASSERT_EQ(held.code, 0) << held.err;
  EXPECT_EQ(Json::parse(held.out)["windows"], 1);
  EXPECT_EQ(Json::parse(held.out)["nats"], Json::parse(plain.out)["nats"]);
}

TEST(EvalWindows, RefuseWhatIsNotAWindow) {
  ExpectRefused(Eval({"--stride", "300", "--window", "256"}),
                {"stride of 300 tokens", "1 to the window's 256"});
  ExpectRefused(Eval({"--stride", "0", "--window", "256"}), {"--stride"});
  ExpectRefused(Eval({"--stride", "1", "--window", "1"}), {"--window"});
  ExpectRefused(Eval({"--window", "256"}), {"--window", "--stride"});
}

}  // namespace
}  // namespace longrope
