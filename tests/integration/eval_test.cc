// `eval`, `tokenize` and `export` on data/tiny, against what transformers computed.
#include <cmath>
#include <nlohmann/json.hpp>
#include <sstream>

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

constexpr double kTolerance = 1e-4;  // relative, of the total loss

Json Golden(const std::string& name = "tiny.json") {
  return Json::parse(testing::SlurpFile(testing::SourcePath("tests/golden/transformers/" + name)));
}

Json GoldenCase(const std::string& name, const std::string& file = "tiny.json") {
  const Json golden = Golden(file);
  for (const Json& item : golden["cases"]) {
    if (item["name"] == name) return item;
  }
  throw std::runtime_error("no golden case " + name);
}

std::vector<std::string> Eval(std::vector<std::string> more, const std::string& model) {
  std::vector<std::string> arguments = {
      "eval", "--model", model, "--text", testing::Passage(), "--lengths", "2048", "--json"};
  arguments.insert(arguments.end(), more.begin(), more.end());
  return Longrope(arguments);
}

// Nats of the one line that eval prints.
double Nats(const std::vector<std::string>& more, const std::string& model = testing::Tiny()) {
  const Output output = RunProcess(Eval(more, model));
  EXPECT_EQ(output.code, 0) << output.err;
  EXPECT_EQ(std::ranges::count(output.out, '\n'), 1) << output.out;
  return output.code == 0 ? Json::parse(output.out)["nats"].get<double>() : NAN;
}

void WriteJson(const std::filesystem::path& path, const Json& json) {
  testing::WriteFile(path, json.dump());
}

TEST(Tokenize, PrintsTheIdsThatEvalScoresAndNothingElse) {
  const Output output =
      RunProcess(Longrope({"tokenize", "--model", testing::Tiny(), testing::Passage()}));
  ASSERT_EQ(output.code, 0);
  EXPECT_EQ(output.err, "");
  std::istringstream lines(output.out);
  std::vector<int> ids;
  for (int id = 0; lines >> id;) ids.push_back(id);
  ASSERT_GE(ids.size(), 2048u);
  ids.resize(2048);
  EXPECT_EQ(ids, Golden()["ids"].get<std::vector<int>>());
}

TEST(Eval, TextsAreNotTheArchivesOfAJob) {
  const TempFolder folder;
  testing::WriteFile(folder / "books.jsonl.gz", "\x1f\x8b");
  const std::string path = folder / "books.jsonl.gz";
  const std::vector<std::string> words = {"books.jsonl.gz: only plain text files are read here",
                                          ".gz is for data.path of a job"};
  testing::ExpectRefused(RunProcess(Longrope({"tokenize", "--model", testing::Tiny(), path})),
                         words);
  testing::ExpectRefused(
      RunProcess(Longrope({"eval", "--model", testing::Tiny(), "--text", path, "--lengths", "16"})),
      words);
}

TEST(Eval, MethodsGiveTheLossOfTransformers) {
  const std::pair<const char*, const char*> methods[] = {
      {"none", "none"}, {"linear", "pi"}, {"dynamic", "dynamic-ntk"}, {"yarn", "yarn"}};
  for (const auto& [golden, method] : methods) {
    EXPECT_TRUE(CloseRelative(Nats({"--method", method}),
                              GoldenCase(golden)["total_nats"].get<double>(), kTolerance))
        << method;
  }
  EXPECT_EQ(Nats({}), Nats({"--method", "none"}));
}

TEST(Eval, FactorFilesGiveTheLossOfTransformers) {
  const TempFolder folder;
  const Json golden = GoldenCase("longrope");
  WriteJson(folder / "f.json", {{"lambda", golden["lambda"]}, {"attention_factor", 1.07}});
  std::string csv;
  for (const Json& value : golden["lambda"]) csv += value.dump() + "\n";
  testing::WriteFile(folder / "f.csv", csv);
  const double json = Nats({"--factors", folder / "f.json"});
  EXPECT_TRUE(CloseRelative(json, golden["total_nats"].get<double>(), kTolerance));
  EXPECT_EQ(Nats({"--factors", folder / "f.csv", "--attention-factor", "1.07"}), json);
  EXPECT_NE(Nats({"--factors", folder / "f.csv"}), json);  // a CSV says nothing of m
}

// The factor file of a case of tiny.
Json FactorFileOf(const Json& golden, int64_t start_tokens) {
  return {{"lambda", golden["lambda"]},
          {"attention_factor", 1.07},
          {"start_tokens", start_tokens},
          {"original_length", 256},
          {"target_length", 2048},
          {"rope_base", 10000},
          {"head_dim", 64}};
}

// Exports f.json of the folder.
std::vector<std::string> Export(const TempFolder& folder, const std::string& out,
                                const std::vector<std::string>& more = {},
                                const std::string& to = "hf-folder") {
  std::vector<std::string> arguments = {"export",  folder / "f.json", "--to",  to,
                                        "--model", testing::Tiny(),   "--out", folder / out};
  arguments.insert(arguments.end(), more.begin(), more.end());
  return Longrope(arguments);
}

TEST(Eval, AnExportedModelFolderIsScoredAsItsFactorFile) {
  const TempFolder folder;
  const Json golden = GoldenCase("longrope");
  WriteJson(folder / "f.json", FactorFileOf(golden, 0));
  const auto command = Export(folder, "out");
  const Output exported = RunProcess(command);
  ASSERT_EQ(exported.code, 0) << exported.err;
  EXPECT_EQ(exported.out, (folder / "out").string() + "\n");
  EXPECT_EQ(Nats({}, folder / "out"), Nats({"--factors", folder / "f.json"}));
  EXPECT_TRUE(
      CloseRelative(Nats({}, folder / "out"), golden["total_nats"].get<double>(), kTolerance));
  ExpectRefused(RunProcess(command), {"exists"});
}

TEST(Eval, AFolderThatKeepsStartTokensGivesTheLossOfTransformers) {
  const TempFolder folder;
  const Json golden = GoldenCase("start_tokens", "start_tokens.json");
  ASSERT_EQ(golden["model"], "tiny");
  WriteJson(folder / "f.json", FactorFileOf(golden, 16));
  const Output kept = RunProcess(Export(folder, "kept", {"--keep-start-tokens"}));
  ASSERT_EQ(kept.code, 0) << kept.err;
  for (const char* part : {"the first 16 tokens", "modeling_longrope.py", "trust_remote_code=True",
                           "vLLM, SGLang, llama.cpp"}) {
    EXPECT_NE(kept.err.find(part), std::string::npos) << part;
  }
  const Output dropped = RunProcess(Export(folder, "dropped", {"--drop-start-tokens"}));
  ASSERT_EQ(dropped.code, 0) << dropped.err;
  EXPECT_NE(dropped.err.find("will be rescaled too"), std::string::npos) << dropped.err;
  const double nats = Nats({}, folder / "kept"), without = Nats({}, folder / "dropped");
  EXPECT_EQ(nats, Nats({"--factors", folder / "f.json"}));
  EXPECT_TRUE(CloseRelative(nats, golden["total_nats"].get<double>(), 1e-6));
  EXPECT_TRUE(CloseRelative(without, golden["total_nats_without"].get<double>(), 1e-6));
  EXPECT_GT(std::abs(without - nats), 4e-4 * nats);
}

TEST(Export, StartTokensAreRefusedWithBothWaysOut) {
  const TempFolder folder;
  WriteJson(folder / "f.json", FactorFileOf(GoldenCase("longrope"), 16));
  ExpectRefused(RunProcess(Export(folder, "out")),
                {"first 16 tokens", "give --keep-start-tokens", "--drop-start-tokens",
                 "runtime: hugging-face"});
  for (const char* to : {"hf-config", "longrope-csv"}) {
    ExpectRefused(RunProcess(Export(folder, "out", {}, to)),
                  {"first 16 tokens", "--to hf-folder --keep-start-tokens", "--drop-start-tokens"});
    ExpectRefused(RunProcess(Export(folder, "out", {"--keep-start-tokens"}, to)),
                  {"--keep-start-tokens", to, "allowed: --to hf-folder"});
  }
  ExpectRefused(RunProcess(Export(folder, "out", {"--keep-start-tokens", "--drop-start-tokens"})),
                {"--keep-start-tokens", "--drop-start-tokens"});
  ExpectRefused(RunProcess(Longrope({"export", folder / "f.json", "--to", "hf-folder", "--out",
                                     folder / "out", "--keep-start-tokens"})),
                {"needs --model"});
  EXPECT_FALSE(std::filesystem::exists(folder / "out"));
}

TEST(Eval, BucketsAreChosenByTheLengthOfTheText) {
  const TempFolder folder;
  const Json lambda(std::vector<double>(32, 4.0)), ones(std::vector<double>(32, 1.0));
  WriteJson(
      folder / "f.json",
      {{"lambda", lambda},
       {"target_length", 1024},
       {"buckets", {{{"length", 256}, {"lambda", ones}}, {{"length", 1024}, {"lambda", lambda}}}}});
  const auto nats = [&](const std::string& lengths, std::vector<std::string> more) {
    more.insert(more.end(), {"--lengths", lengths});
    std::vector<std::string> command = {"eval",   "--model",          testing::Tiny(),
                                        "--text", testing::Passage(), "--json"};
    command.insert(command.end(), more.begin(), more.end());
    const Output output = RunProcess(Longrope(command));
    std::vector<double> all;
    std::istringstream lines(output.out);
    for (std::string line; std::getline(lines, line);) {
      all.push_back(Json::parse(line)["nats"].get<double>());
    }
    return all;
  };
  const auto bucketed = nats("256,257,1100", {"--factors", folder / "f.json"});
  const auto plain = nats("256", {"--method", "none"});
  const auto pi = nats("257,1100", {"--method", "pi", "--target", "1024"});
  EXPECT_EQ(bucketed, (std::vector<double>{plain.at(0), pi.at(0), pi.at(1)}));
}

TEST(Eval, TheTableAndTheJsonSayTheSame) {
  const Output table = RunProcess(Longrope(
      {"eval", "--model", testing::Tiny(), "--text", testing::Passage(), "--lengths", "100,200"}));
  ASSERT_EQ(table.code, 0);
  EXPECT_NE(table.err.find("rotation: plain, as the model's files say; m 1, start tokens 0 at 200"),
            std::string::npos)
      << table.err;
  EXPECT_EQ(std::ranges::count(table.out, '\n'), 3);
  const Output json = RunProcess(Longrope({"eval", "--model", testing::Tiny(), "--text",
                                           testing::Passage(), "--lengths", "100,200", "--json"}));
  std::istringstream rows(table.out), objects(json.out);
  std::string header, object;
  std::getline(rows, header);
  while (std::getline(objects, object)) {
    const Json item = Json::parse(object);
    int64_t length = 0, tokens = 0;
    std::string document;
    double nats = 0, per_token = 0, perplexity = 0;
    rows >> length >> document >> tokens >> nats >> per_token >> perplexity;
    EXPECT_TRUE(CloseRelative(per_token, nats / double(tokens), 1e-7));
    EXPECT_EQ(item["length"], length);
    EXPECT_EQ(item["document"], document);
    EXPECT_EQ(item["tokens"], tokens);
    EXPECT_EQ(tokens, length - 1);
    EXPECT_TRUE(CloseRelative(nats, item["nats"].get<double>(), 1e-8));
    EXPECT_TRUE(CloseRelative(item["perplexity"].get<double>(),
                              std::exp(item["nats"].get<double>() / double(tokens)), 1e-12));
    EXPECT_TRUE(CloseRelative(perplexity, item["perplexity"].get<double>(), 1e-6));
  }
}

TEST(Eval, ThreadsDoNotChangeABit) {
  const double one = Nats({"--method", "yarn", "--threads", "1"});
  for (const char* threads : {"2", "3"}) {
    EXPECT_EQ(Nats({"--method", "yarn", "--threads", threads}), one);
  }
  // Nor does the walk: this much only holds one layer's keys and values.
  EXPECT_EQ(Nats({"--method", "yarn", "--threads", "1", "--memory-gb", "0.025"}), one);
}

TEST(Eval, SeveralTextsAreSummedUp) {
  const TempFolder folder;
  testing::WriteFile(folder / "b.txt", testing::SlurpFile(testing::Passage()).substr(3000, 2000));
  const Output table =
      RunProcess(Longrope({"eval", "--model", testing::Tiny(), "--text", testing::Passage(),
                           folder / "b.txt", "--lengths", "100"}));
  ASSERT_EQ(table.code, 0) << table.err;
  std::istringstream rows(table.out);
  std::string line;
  std::getline(rows, line);
  double sum = 0, nats = 0, per_token = 0, perplexity = 0;
  int64_t length = 0, tokens = 0;
  std::string document;
  for (int row = 0; row < 2; ++row) {
    rows >> length >> document >> tokens >> nats >> per_token >> perplexity;
    sum += nats;
  }
  rows >> length >> document >> tokens >> nats >> per_token >> perplexity;
  EXPECT_EQ(document, "all");
  EXPECT_EQ(tokens, 198);
  EXPECT_TRUE(CloseRelative(nats, sum, 1e-8));
  EXPECT_TRUE(CloseRelative(perplexity, std::exp(sum / 198), 1e-6));
}

TEST(Eval, AFileNameThatIsNotUtf8IsStillOneObject) {
  const TempFolder folder;
  const std::string path = (folder / "caf\xe9.txt").string();
  testing::WriteFile(path, testing::SlurpFile(testing::Passage()).substr(0, 2000));
  const Output output = RunProcess(
      Longrope({"eval", "--model", testing::Tiny(), "--text", path, "--lengths", "64", "--json"}));
  EXPECT_EQ(output.code, 0) << output.err;
  EXPECT_EQ(Json::parse(output.out)["tokens"], 63);
}

TEST(Export, OfARunWithOverridesKnowsThem) {
  const TempFolder folder;
  const std::string job = testing::SmallJob(folder.path());
  ASSERT_EQ(
      RunProcess(Longrope({"search", job, "--set", "model.original_length=200", "--set",
                           "stages.a.runtime=hugging-face", "--set", "stages.a.generations=0"}))
          .code,
      0);
  const Output output = RunProcess(
      Longrope({"export", folder / "run", "--to", "hf-config", "--out", folder / "overlay.json"}));
  ASSERT_EQ(output.code, 0) << output.err;
  EXPECT_EQ(
      Json::parse(testing::SlurpFile(folder / "overlay.json"))["original_max_position_embeddings"],
      200);
  // Nothing is written over.
  ExpectRefused(RunProcess(Longrope({"export", folder / "run", "--to", "hf-config", "--out",
                                     folder / "overlay.json"})),
                {"exists", "--force"});
  EXPECT_EQ(RunProcess(Longrope({"export", folder / "run", "--to", "hf-config", "--out",
                                 folder / "overlay.json", "--force"}))
                .code,
            0);
}

TEST(Eval, TooLittleMemoryIsSaidBeforeAnythingIsScored) {
  ExpectRefused(RunProcess(Eval({"--memory-gb", "0.005"}, testing::Tiny())),
                {"2048 tokens needs", "MB"});
}

}  // namespace
}  // namespace longrope
