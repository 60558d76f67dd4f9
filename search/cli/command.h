// What subcommands share: how they register and what they answer.
#pragma once

#include <CLI/CLI.hpp>
#include <functional>

namespace longrope {

// Exit codes of the program.
inline constexpr int kExitDone = 0;
inline constexpr int kExitInternal = 1;  // a fault of the program
inline constexpr int kExitInput = 2;     // bad input or usage
inline constexpr int kExitStopped = 75;  // stopped by a signal; `resume` goes on

// The work of the subcommand that was chosen; returns an exit code, throws InputError for bad
// input.
using Action = std::function<int()>;

// Each adds its subcommand, which sets *action when it is parsed.
void AddSearch(CLI::App& app, Action* action);
void AddResume(CLI::App& app, Action* action);
void AddShow(CLI::App& app, Action* action);
void AddEval(CLI::App& app, Action* action);
void AddExport(CLI::App& app, Action* action);
void AddFactors(CLI::App& app, Action* action);
void AddPasskey(CLI::App& app, Action* action);
void AddSensitivity(CLI::App& app, Action* action);
void AddStudy(CLI::App& app, Action* action);
void AddTokenize(CLI::App& app, Action* action);
void AddWorker(CLI::App& app, Action* action);

}  // namespace longrope
