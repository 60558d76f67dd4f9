// The program: parses, runs one subcommand, reports errors, answers with an exit code.
#include <filesystem>
#include <iostream>
#include <string>
#include <vector>

#include "eval/errors.h"
#include "eval/text/utf8.h"
#include "kernels/device_error.h"
#include "search/cli/command.h"
#include "search/job/suggest.h"

namespace longrope {
namespace {

void AddCommands(CLI::App& app, Action* action) {
  app.description(
      "Evolutionary search for RoPE rescale factors (LongRoPE). Results go to stdout, log and "
      "progress to stderr. Exit codes: 0 done, 1 internal error, 2 bad input, 75 stopped and "
      "resumable.");
  app.set_version_flag("--version", std::string("longrope ") + LONGROPE_VERSION);
  app.require_subcommand(0, 1);
  AddSearch(app, action);
  AddResume(app, action);
  AddShow(app, action);
  AddEval(app, action);
  AddExport(app, action);
  AddFactors(app, action);
  AddPasskey(app, action);
  AddSensitivity(app, action);
  AddStudy(app, action);
  AddTokenize(app, action);
  AddWorker(app, action);
}

// Names out of files may be long.
std::string Cut(std::string message) {
  constexpr size_t kBegin = 1200, kEnd = 400;
  if (message.size() > kBegin + kEnd) {
    size_t begin = kBegin, end = message.size() - kEnd;
    while (begin > 0 && !StartsCharacter(message[begin])) --begin;
    while (end < message.size() && !StartsCharacter(message[end])) ++end;
    message.replace(begin, end - begin, "...");
  }
  return message;
}

// One line for people.
int Report(const std::string& message, int code) {
  std::cerr << "longrope: " << OneLine(Cut(message)) << std::endl;
  return code;
}

// The parser takes a subcommand that it does not know for an argument too many.
std::string UsageText(const CLI::App& app, const CLI::ParseError& error) {
  const auto chosen = app.get_subcommands();
  const auto left = app.remaining();
  std::string text = error.what();
  if (chosen.empty() && !left.empty() && !left.front().starts_with('-')) {
    std::vector<std::string> names;
    for (const CLI::App* command : app.get_subcommands([](const CLI::App*) { return true; })) {
      names.push_back(command->get_name());
    }
    text = "no subcommand is named '" + left.front() + "'; the nearest is '" +
           NearestName(left.front(), names) + "'";
  }
  return text + "; see longrope " + (chosen.empty() ? "" : chosen.front()->get_name() + " ") +
         "--help";
}

int RunAction(const Action& action) {
  const int code = action();
  std::cout.flush();
  if (!std::cout) return Report("stdout: cannot be written", kExitInput);
  return code;
}

int Main(int argc, char** argv) {
  CLI::App app;
  Action action;
  AddCommands(app, &action);
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    if (error.get_exit_code() == 0) return app.exit(error);  // --help, --version
    return Report(UsageText(app, error), kExitInput);
  }
  if (!action) return Report("a subcommand is required; see longrope --help", kExitInput);
  return RunAction(action);
}

}  // namespace
}  // namespace longrope

int main(int argc, char** argv) {
  try {
    return longrope::Main(argc, argv);
  } catch (const longrope::InputError& error) {
    return longrope::Report(error.what(), longrope::kExitInput);
  } catch (const std::filesystem::filesystem_error& error) {
    return longrope::Report(error.path1().string() + ": " + error.code().message(),
                            longrope::kExitInput);
  } catch (const longrope::DeviceError& error) {
    return longrope::Report(error.what(), longrope::kExitInternal);
  } catch (const std::bad_alloc&) {
    return longrope::Report("out of memory (see backend.memory_gb, --memory-gb)",
                            longrope::kExitInternal);
  } catch (const std::exception& error) {
    return longrope::Report(std::string("internal error: ") + error.what(),
                            longrope::kExitInternal);
  }
}
