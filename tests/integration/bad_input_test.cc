// What people get wrong: one clear line each, exit code 2, nothing written.
#include <bit>
#include <cstring>
#include <functional>

#include "tests/integration/program.h"

namespace longrope {
namespace fs = std::filesystem;
namespace {

using testing::ExpectRefused;
using testing::Longrope;
using testing::RunProcess;
using testing::SlurpFile;
using testing::SmallJob;
using testing::TempFolder;

// A small job with a model of its own, which a case then spoils.
struct Workplace {
  TempFolder folder;
  std::string job = SmallJob(folder.path());
  fs::path model = folder / "model", texts = folder / "texts";

  Workplace() {
    fs::create_directory(model);
    for (const char* name :
         {"config.json", "model.safetensors", "tokenizer.model", "tokenizer_config.json"}) {
      fs::copy_file(testing::SourcePath("data/tiny") / name, model / name);
    }
  }
  void Replace(const fs::path& file, const std::string& what, const std::string& by) const {
    std::string text = SlurpFile(file);
    const size_t at = text.find(what);
    if (at == std::string::npos) throw std::logic_error(what + " is not in " + file.string());
    testing::WriteFile(file, text.replace(at, what.size(), by));
  }
  void Config(const std::string& what, const std::string& by) const {
    Replace(model / "config.json", what, by);
  }
};

struct Case {
  const char* name;
  std::function<void(const Workplace&)> spoil;
  std::vector<std::string> words;  // that the one line holds
};

void CutOff(const fs::path& file, double share) {
  fs::resize_file(file, static_cast<uintmax_t>(static_cast<double>(fs::file_size(file)) * share));
}

// Sets one bfloat16 of the last tensor to NaN.
void SpoilWeight(const fs::path& file) {
  std::string bytes = SlurpFile(file);
  bytes[bytes.size() - 2] = '\xc0';
  bytes[bytes.size() - 1] = '\x7f';
  testing::WriteFile(file, bytes);
}

const std::vector<Case>& Cases() {
  static const std::vector<Case> cases = {
      {"no model folder", [](const Workplace& w) { fs::remove_all(w.model); }, {"config.json"}},
      {"no weights",
       [](const Workplace& w) { fs::remove(w.model / "model.safetensors"); },
       {"model.safetensors"}},
      {"weights cut off",
       [](const Workplace& w) { CutOff(w.model / "model.safetensors", 0.5); },
       {"model.safetensors", "cut off"}},
      {"empty weights",
       [](const Workplace& w) { CutOff(w.model / "model.safetensors", 0); },
       {"model.safetensors", "cut off"}},
      {"config cut off",
       [](const Workplace& w) { CutOff(w.model / "config.json", 0.5); },
       {"config.json", "not valid JSON", "line"}},
      {"wrong shape",
       [](const Workplace& w) {
         w.Config("\"intermediate_size\": 704", "\"intermediate_size\": 700");
       },
       {"[704, 256]", "[700, 256]"}},
      {"unknown architecture",
       [](const Workplace& w) { w.Config("\"llama\"", "\"gpt_neox\""); },
       {"model_type", "gpt_neox", "llama, mistral"}},
      {"another scaling",
       [](const Workplace& w) {
         w.Config("\"rms_norm_eps\"",
                  "\"rope_scaling\": {\"rope_type\": \"proportional\", \"factor\": 8.0}, "
                  "\"rms_norm_eps\"");
       },
       {"proportional", "default, linear"}},
      {"biases",
       [](const Workplace& w) {
         w.Config("\"attention_bias\": false", "\"attention_bias\": true");
       },
       {"attention_bias"}},
      {"no tokenizer",
       [](const Workplace& w) { fs::remove(w.model / "tokenizer.model"); },
       {"tokenizer.model", "missing"}},
      {"tokenizer cut off",
       [](const Workplace& w) { CutOff(w.model / "tokenizer.model", 0.3); },
       {"tokenizer.model", "not a SentencePiece model"}},
      {"no texts",
       [](const Workplace& w) { fs::remove_all(w.texts); },
       {"texts", "does not exist"}},
      {"an empty folder of texts",
       [](const Workplace& w) {
         fs::remove_all(w.texts);
         fs::create_directory(w.texts);
       },
       {"texts", "holds no text"}},
      {"too short texts",
       [](const Workplace& w) { testing::WriteFile(w.texts / "1.txt", "Too short.\n"); },
       {"2 of the 3 documents of 320 tokens", "data.join"}},
      {"a text that is not UTF-8",
       [](const Workplace& w) { testing::WriteFile(w.texts / "1.txt", "caf\xe9 noir"); },
       {"1.txt", "byte 3", "UTF-8"}},
      {"a typo in the job",
       [](const Workplace& w) { w.Replace(w.job, "generations:", "genrations:"); },
       {"small.yaml:6", "stages.a.genrations", "nearest is 'generations'"}},
      {"a typo in a key that must be there",
       [](const Workplace& w) { w.Replace(w.job, "length:", "lenght:"); },
       {"small.yaml:6", "stages.a.lenght", "nearest is 'length'"}},
      {"a name too long for a file",
       [](const Workplace& w) {
         w.Replace(w.job, (w.folder / "texts").string(), std::string(5000, 'x'));
       },
       {"data.path", "too long"}},
      {"a key twice",
       [](const Workplace& w) { w.Replace(w.job, "seed: 5\n", "seed: 5\nseed: 6\n"); },
       {"small.yaml:2", "'seed' stands twice"}},
      {"a value out of range",
       [](const Workplace& w) { w.Replace(w.job, "parents: 4", "parents: 0"); },
       {"small.yaml:6", "stages.a.parents", "0; allowed"}},
      {"a number with a leading zero",
       [](const Workplace& w) { w.Replace(w.job, "seed: 5", "seed: 010"); },
       {"small.yaml:1", "leading zero"}},
      {"a stage of an unknown kind",
       [](const Workplace& w) { w.Replace(w.job, "kind: search", "kind: serach"); },
       {"stages.a.kind", "'serach'", "search"}},
      {"a target within the original length",
       [](const Workplace& w) { w.Replace(w.job, "length: 320", "length: 256"); },
       {"stages.a.length", "256"}},
      {"a job that is no YAML",
       [](const Workplace& w) { testing::WriteFile(w.job, "stages: [\n"); },
       {"small.yaml", "not valid YAML"}},
      {"no job", [](const Workplace& w) { fs::remove(w.job); }, {"small.yaml", "cannot be opened"}},
      {"an output folder that is a file",
       [](const Workplace& w) { testing::WriteFile(w.folder / "run", "mine"); },
       {"run", "not a folder"}},
  };
  return cases;
}

class BadInput : public ::testing::TestWithParam<size_t> {};

TEST_P(BadInput, IsOneLineAndExitCodeTwoAndNothingIsWritten) {
  const Case& one = Cases()[GetParam()];
  const Workplace workplace;
  one.spoil(workplace);
  const auto before = testing::Snapshot(workplace.folder.path());
  const std::vector<std::string> search =
      Longrope({"search", workplace.job, "--set", "model.path=" + workplace.model.string()});
  ExpectRefused(RunProcess(search), one.words);
  EXPECT_EQ(testing::Snapshot(workplace.folder.path()), before);
}

INSTANTIATE_TEST_SUITE_P(All, BadInput, ::testing::Range(size_t{0}, Cases().size()),
                         [](const auto& one) {
                           std::string name = Cases()[one.param].name;
                           for (char& c : name)
                             c = std::isalnum(static_cast<unsigned char>(c)) ? c : '_';
                           return name;
                         });

// The baselines are scored by then, and scores are never thrown away: the run stays.
TEST(BadInput, ASearchOnAModelWithNaNNamesTheWeightAndLeavesAWholeRun) {
  const Workplace workplace;
  SpoilWeight(workplace.model / "model.safetensors");
  const std::string run = (workplace.folder / "run").string();
  const auto search = RunProcess(
      Longrope({"search", workplace.job, "--set", "model.path=" + workplace.model.string()}));
  EXPECT_EQ(search.code, 2);
  EXPECT_NE(search.err.find("is not finite\n"), std::string::npos) << search.err;
  EXPECT_FALSE(fs::exists(run + "/factors.json"));
  EXPECT_EQ(RunProcess(Longrope({"show", run})).code, 0);
  fs::copy_file(testing::SourcePath("data/tiny/model.safetensors"),
                workplace.model / "model.safetensors", fs::copy_options::overwrite_existing);
  const auto resume = RunProcess(Longrope({"resume", run}));
  EXPECT_EQ(resume.code, 2);
  EXPECT_NE(resume.err.find("began with another model"), std::string::npos) << resume.err;
}

TEST(BadInput, EvalNamesTheWeightThatIsNotFinite) {
  const Workplace workplace;
  SpoilWeight(workplace.model / "model.safetensors");
  ExpectRefused(RunProcess(Longrope({"eval", "--model", workplace.model, "--text",
                                     testing::Passage(), "--lengths", "64", "--json"})),
                {"tensor ", "element ", "not finite"});
}

TEST(BadInput, EvalRefusesFactorsOfAnotherModelAndLongerLengthsThanTheText) {
  const TempFolder folder;
  const auto eval = [](std::vector<std::string> more) {
    std::vector<std::string> all = {"eval", "--model", testing::Tiny(), "--text",
                                    testing::Passage()};
    all.insert(all.end(), more.begin(), more.end());
    return RunProcess(Longrope(all));
  };
  testing::WriteFile(folder / "short.csv", "1\n2\n3\n");
  ExpectRefused(eval({"--lengths", "64", "--factors", folder / "short.csv"}),
                {"short.csv", "number of factors is 3", "32"});
  testing::WriteFile(folder / "bad.csv", "1\n2x\n");
  ExpectRefused(eval({"--lengths", "64", "--factors", folder / "bad.csv"}), {"bad.csv:2", "'2x'"});
  testing::WriteFile(folder / "bad.json", R"({"lambda": [1, 2], "starttokens": 3})");
  ExpectRefused(eval({"--lengths", "64", "--factors", folder / "bad.json"}),
                {"bad.json", "starttokens", "start_tokens"});
  ExpectRefused(eval({"--lengths", "64", "--factors", folder / "none.json"}), {"none.json"});
  ExpectRefused(eval({"--lengths", "64,900000"}), {"passage.txt", "900000"});
}

TEST(BadInput, ResumeAndShowAndExportOfNoRun) {
  const TempFolder folder;
  const auto before = testing::Snapshot(folder.path());
  ExpectRefused(RunProcess(Longrope({"resume", folder / "x"})), {"holds no run"});
  ExpectRefused(RunProcess(Longrope({"show", folder / "x"})), {"holds no run"});
  ExpectRefused(RunProcess(Longrope(
                    {"export", folder.path(), "--to", "longrope-csv", "--out", folder / "f.csv"})),
                {"holds no factors.json"});
  EXPECT_EQ(testing::Snapshot(folder.path()), before);
}

}  // namespace
}  // namespace longrope
