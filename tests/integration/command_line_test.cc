// Exit codes, streams and the words of the command line.
#include "tests/integration/program.h"

namespace longrope {
namespace {

using testing::ExpectRefused;
using testing::Longrope;
using testing::Output;
using testing::RunProcess;
using testing::TempFolder;

TEST(CommandLine, HelpOfEverySubcommandGoesToStdout) {
  for (const char* command : {"", "search", "resume", "show", "eval", "export", "factors",
                              "passkey", "sensitivity", "study", "tokenize", "worker"}) {
    std::vector<std::string> arguments = {"--help"};
    if (*command != 0) arguments.insert(arguments.begin(), command);
    const Output output = RunProcess(Longrope(arguments));
    EXPECT_EQ(output.code, 0) << command;
    EXPECT_NE(output.out.find("Usage:"), std::string::npos) << command;
    EXPECT_EQ(output.err, "") << command;
  }
  EXPECT_TRUE(RunProcess(Longrope({"--version"})).out.starts_with("longrope "));
}

TEST(CommandLine, BadUsageIsOneLineAndExitCodeTwo) {
  ExpectRefused(RunProcess(Longrope({})), {"subcommand", "--help"});
  ExpectRefused(RunProcess(Longrope({"serch", "job.yaml"})),
                {"'serch'", "nearest is 'search'", "longrope --help"});
  ExpectRefused(RunProcess(Longrope({"--verion"})), {"--verion", "longrope --help"});
  ExpectRefused(RunProcess(Longrope({"search"})), {"job", "search --help"});
  ExpectRefused(RunProcess(Longrope({"eval", "--model", "x", "--nonsense"})), {"eval --help"});
  ExpectRefused(RunProcess(Longrope({"eval", "--model", testing::Tiny(), "--text",
                                     testing::Passage(), "--lengths", "1"})),
                {"--lengths"});
  ExpectRefused(RunProcess(Longrope({"eval", "--model", testing::Tiny(), "--text",
                                     testing::Passage(), "--lengths", "64", "--method", "yarm"})),
                {"'yarm'", "none, pi, ntk, dynamic-ntk, yarn"});
  ExpectRefused(RunProcess(Longrope({"eval", "--model", testing::Tiny(), "--text",
                                     testing::Passage(), "--lengths", "64", "--backend", "gpu"})),
                {"'gpu'", "auto, reference, cuda"});
}

TEST(CommandLine, AFullStdoutIsReported) {
  const Output output = RunProcess(
      Longrope({"factors", "--model", testing::Tiny(), "--length", "2048"}), {.out = "/dev/full"});
  EXPECT_EQ(output.code, 2);
  EXPECT_EQ(output.err, "longrope: stdout: cannot be written\n");
}

TEST(CommandLine, ADecimalCommaInTheLocaleChangesNothing) {
  const auto command = Longrope({"factors", "--model", testing::Tiny(), "--length", "2048"});
  const std::string expected = RunProcess(command).out;
  EXPECT_NE(expected.find("1.06937969"), std::string::npos);
  for (const char* locale : {"LC_ALL=de_DE.UTF-8", "LC_ALL=xx", "LC_ALL="}) {
    EXPECT_EQ(RunProcess(command, {.environment = {locale}}).out, expected);
  }
}

TEST(CommandLine, FactorsAsTableAndAsJsonAgree) {
  const Output json =
      RunProcess(Longrope({"factors", "--model", testing::Tiny(), "--length", "2048", "--json"}));
  ASSERT_EQ(json.code, 0);
  EXPECT_EQ(std::ranges::count(json.out, '\n'), 4);
  EXPECT_NE(json.out.find("{\"method\":\"pi\",\"length\":2048,\"ratio\":8.0,"
                          "\"attention_factor\":1.0,\"lambda\":[8.0,8.0,"),
            std::string::npos);
  EXPECT_NE(json.out.find("\"method\":\"yarn\",\"length\":2048,\"ratio\":8.0,"
                          "\"attention_factor\":1.2079441541679836"),
            std::string::npos);
}

TEST(CommandLine, FactorsOfAMistralNeedItsOriginalLength) {
  const std::string mistral = testing::SourcePath("tests/golden/transformers/mistral").string();
  ExpectRefused(RunProcess(Longrope({"factors", "--model", mistral, "--length", "512"})),
                {"original length", "--original"});
  EXPECT_EQ(
      RunProcess(Longrope({"factors", "--model", mistral, "--length", "512", "--original", "128"}))
          .code,
      0);
}

}  // namespace
}  // namespace longrope
