// `passkey` on a model that was trained for it (tests/golden/copy_model) and on data/tiny.
#include <nlohmann/json.hpp>
#include <sstream>

#include "tests/integration/program.h"

namespace longrope {
namespace {

using testing::ExpectRefused;
using testing::Longrope;
using testing::Output;
using testing::RunProcess;
using testing::TempFolder;
using Json = nlohmann::json;

std::string CopyModel() { return testing::SourcePath("tests/golden/copy_model").string(); }

Output Passkey(const std::string& model, std::vector<std::string> more) {
  std::vector<std::string> arguments = {"passkey", "--model", model};
  arguments.insert(arguments.end(), more.begin(), more.end());
  return RunProcess(Longrope(arguments));
}

std::vector<Json> Lines(const Output& output) {
  EXPECT_EQ(output.code, 0) << output.err;
  std::vector<Json> lines;
  std::istringstream text(output.out);
  for (std::string line; std::getline(text, line);) lines.push_back(Json::parse(line));
  return lines;
}

TEST(Passkey, IsFoundByAModelThatLearnedTo) {
  const auto lines = Lines(Passkey(CopyModel(), {"--lengths", "256,512", "--json"}));
  ASSERT_EQ(lines.size(), 2u);
  for (size_t i = 0; i < 2; ++i) {
    const int64_t length = i == 0 ? 256 : 512;
    EXPECT_EQ(lines[i]["length"], length);
    EXPECT_EQ(lines[i]["tries"], 10);
    EXPECT_EQ(lines[i]["right"], 10);
    EXPECT_EQ(lines[i]["accuracy"], 1.0);
    ASSERT_EQ(lines[i]["results"].size(), 10u);
    std::vector<int> tries(5);
    for (const Json& one : lines[i]["results"]) {
      EXPECT_TRUE(one["right"]);
      EXPECT_LE(one["tokens"], length);
      EXPECT_GE(one["key"], 10000);
      ++tries[static_cast<size_t>(std::min(4.0, one["depth"].get<double>() * 5))];
    }
    ASSERT_EQ(lines[i]["by_depth"].size(), 5u);
    for (size_t bin = 0; bin < 5; ++bin) EXPECT_EQ(lines[i]["by_depth"][bin]["tries"], tries[bin]);
    EXPECT_EQ(lines[i]["by_depth"][1]["from"], 0.2);
  }
  EXPECT_NE(lines[0]["results"][0]["key"], lines[1]["results"][0]["key"]);
}

TEST(Passkey, TheTableAndTheJsonSayTheSame) {
  const std::vector<std::string> common = {"--lengths", "128,600", "--tries", "6", "--seed", "3"};
  auto with_json = common;
  with_json.push_back("--json");
  const auto lines = Lines(Passkey(CopyModel(), with_json));
  const Output table = Passkey(CopyModel(), common);
  ASSERT_EQ(table.code, 0) << table.err;
  EXPECT_NE(table.err.find("rotation: plain, as the model's files say"), std::string::npos)
      << table.err;
  std::istringstream rows(table.out);
  std::string header;
  std::getline(rows, header);
  EXPECT_NE(header.find("0.2-0.4"), std::string::npos) << header;
  int64_t right_of_all = 0;
  for (const std::string name : {"128", "600", "all"}) {
    std::string length;
    int64_t tries = 0, right = 0;
    double accuracy = 0;
    rows >> length >> tries >> right >> accuracy;
    EXPECT_EQ(length, name);
    EXPECT_NEAR(accuracy, static_cast<double>(right) / static_cast<double>(tries), 5e-5);
    for (size_t bin = 0; bin < 5; ++bin) {
      std::string share;
      rows >> share;
      if (name == "all") continue;
      const Json& part = lines[name == "128" ? 0 : 1]["by_depth"][bin];
      EXPECT_EQ(share,
                part["tries"] == 0 ? "-" : part["right"].dump() + "/" + part["tries"].dump());
    }
    if (name == "all") {
      EXPECT_EQ(tries, 12);
      EXPECT_EQ(right, right_of_all);
    } else {
      EXPECT_EQ(right, lines[name == "128" ? 0 : 1]["right"]);
      right_of_all += right;
    }
  }
}

TEST(Passkey, IsAFunctionOfTheSeedAndNotOfThreadsNorOfHowManyAreTried) {
  const auto results = [&](std::vector<std::string> more) {
    more.insert(more.end(), {"--lengths", "200", "--json"});
    return Lines(Passkey(CopyModel(), more)).at(0)["results"];
  };
  const Json expected = results({"--tries", "3", "--threads", "1"});
  EXPECT_EQ(results({"--tries", "3", "--threads", "3"}), expected);
  const Json more = results({"--tries", "5"});
  for (size_t i = 0; i < 3; ++i) EXPECT_EQ(more[i], expected[i]);
  EXPECT_NE(results({"--tries", "3", "--seed", "2"}), expected);
}

TEST(Passkey, DependsOnTheFactors) {
  const auto nats = [&](std::vector<std::string> more) {
    more.insert(more.end(), {"--lengths", "1024", "--tries", "1", "--json"});
    return Lines(Passkey(CopyModel(), more)).at(0)["results"][0]["nats"].get<double>();
  };
  const double plain = nats({}), pi = nats({"--method", "pi"});
  EXPECT_NE(pi, plain);
  EXPECT_EQ(nats({"--method", "pi", "--target", "1024"}), pi);
  const TempFolder folder;
  testing::WriteFile(folder / "f.json", Json{{"lambda", std::vector<double>(8, 2.0)}}.dump());
  EXPECT_EQ(nats({"--factors", folder / "f.json"}), pi);
}

TEST(Passkey, IsNotFoundByDataTiny) {
  const auto lines = Lines(Passkey(testing::Tiny(), {"--lengths", "256", "--json"}));
  EXPECT_LT(lines.at(0)["right"], 10);
  for (const Json& one : lines.at(0)["results"]) EXPECT_GT(one["nats"], 0);
}

TEST(Passkey, RefusesLengthsThatHoldNoPromptBeforeAnythingIsScored) {
  ExpectRefused(Passkey(CopyModel(), {"--lengths", "256,60"}),
                {"a passkey in 60 tokens", "even without filler"});
  ExpectRefused(Passkey(CopyModel(), {"--lengths", "256", "--tries", "0"}), {"--tries"});
  ExpectRefused(Passkey(CopyModel(), {}), {"--lengths"});
}

}  // namespace
}  // namespace longrope
