// Files that mean harm (hostile_files.py beside this file): one clear line, exit code 2, at once,
// and with little memory.
#include <sstream>

#include "tests/integration/program.h"

namespace longrope {
namespace fs = std::filesystem;
namespace {

using testing::Longrope;
using testing::Output;
using testing::RunProcess;

// Beyond what `longrope --version` takes.
constexpr double kMaxSeconds = 0.1;
constexpr int64_t kMaxBytes = 64 << 20;
constexpr size_t kMaxLine = 2000;  // bytes, with the log lines of what ran before

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)  // g++
constexpr bool kLimits = false;                                    // sanitizers take both
#elif defined(__has_feature)                                       // clang
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer)
constexpr bool kLimits = false;
#else
constexpr bool kLimits = true;
#endif
#else
constexpr bool kLimits = true;
#endif

struct Case {
  std::string name;
  std::vector<std::string> arguments;
  std::vector<std::string> words;  // that the one line holds
  bool loads;
};

std::vector<std::string> Split(const std::string& text, char at) {
  std::vector<std::string> parts;
  std::istringstream all(text);
  for (std::string part; std::getline(all, part, at);) parts.push_back(part);
  return parts;
}

// Sizes and times of change: holes of a terabyte are not read through.
std::map<std::string, std::string> Listing(const fs::path& folder) {
  std::map<std::string, std::string> files;
  for (const auto& entry : fs::recursive_directory_iterator(folder)) {
    files[entry.path().string()] =
        (entry.is_regular_file() ? std::to_string(entry.file_size()) : "folder") + " " +
        std::to_string(entry.last_write_time().time_since_epoch().count());
  }
  return files;
}

class HostileFiles : public ::testing::Test {
 protected:
  HostileFiles() : plain_(RunProcess(Longrope({"--version"}))) {
    const Output script =
        RunProcess({"/usr/bin/env", "python3",
                    testing::SourcePath("tests/integration/hostile_files.py"), folder_.path()});
    if (script.code != 0) throw std::runtime_error("hostile_files.py: " + script.err);
  }

  // The cases whose names begin so.
  std::vector<Case> Cases(const std::string& family) const {
    std::vector<Case> cases;
    for (const std::string& line : Split(testing::SlurpFile(folder_ / "cases.tsv"), '\n')) {
      const auto fields = Split(line, '\t');
      if (!fields.at(0).starts_with(family)) continue;
      Case one{fields[0], Split(fields.at(1), ' '), Split(fields.at(2), '|'),
               fields.at(3) == "loads"};
      for (std::string& argument : one.arguments) {
        const size_t at = argument.find("{path}");
        if (at != std::string::npos) argument.replace(at, 6, (folder_ / one.name).string());
      }
      cases.push_back(one);
    }
    return cases;
  }

  void CheckFamily(const std::string& family, size_t at_least) {
    const std::vector<Case> cases = Cases(family);
    EXPECT_GE(cases.size(), at_least);
    for (const Case& one : cases) {
      SCOPED_TRACE(one.name);
      const auto before = Listing(folder_ / one.name);
      const Output output = RunProcess(Longrope(one.arguments));
      if (one.loads) {
        EXPECT_EQ(output.code, 0) << output.err;
        EXPECT_NE(output.out, "");
      } else {
        testing::ExpectRefused(output, one.words);
        EXPECT_LE(output.err.size(), kMaxLine);
        EXPECT_EQ(output.err.find_first_of("\r\x1b\x7f"), std::string::npos) << output.err;
      }
      EXPECT_EQ(Listing(folder_ / one.name), before);
      if (!kLimits) continue;
      EXPECT_LE(output.processor_seconds, plain_.processor_seconds + kMaxSeconds);
      EXPECT_LE(output.peak_bytes, plain_.peak_bytes + kMaxBytes);
    }
  }

  testing::TempFolder folder_;
  Output plain_;
};

TEST_F(HostileFiles, Gguf) { CheckFamily("gguf_", 150); }
TEST_F(HostileFiles, Safetensors) { CheckFamily("safetensors_", 80); }
TEST_F(HostileFiles, TokenizerJson) { CheckFamily("tokenizer_json_", 80); }
TEST_F(HostileFiles, TokenizerModel) { CheckFamily("tokenizer_model_", 15); }
TEST_F(HostileFiles, JsonLines) { CheckFamily("jsonl_", 25); }
TEST_F(HostileFiles, Yaml) { CheckFamily("yaml_", 12); }

}  // namespace
}  // namespace longrope
