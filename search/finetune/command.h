// The user's command of a fine-tune: placeholders, and running it.
#pragma once

#include <filesystem>
#include <functional>
#include <map>
#include <stop_token>
#include <string>
#include <vector>

namespace longrope {

// What a command may name in braces: model (folder to train, with factors in its config), factors
// (the same as a factor file), tokens (uint32 ids of the stage's texts, each text behind a BOS),
// text (folder or file of the texts), length (tokens of a training sequence), steps, output (folder
// to make), seed, leg (1, 2, ...), stage.
const std::vector<std::string>& CommandPlaceholders();

// The first {name} of a command that is none of them; "" if all are. Shell's own ${name} is left
// alone.
std::string UnknownPlaceholder(const std::string& command);

// Every {name} by its value, quoted for the shell.
std::string FilledCommand(const std::string& command,
                          const std::map<std::string, std::string>& values);

struct CommandEnd {
  bool stopped = false;   // since `stop` was requested
  int exit_code = 0;      // 128 + number of the signal that ended it
  std::string last_line;  // of what it wrote, blank lines left out
};

// Runs a command by /bin/sh -c in a process group of its own. What it writes to stdout and stderr
// is appended to `log`; `line` is told of every line, soon. On a stop request the group gets
// SIGTERM and all of it is waited for, however long it saves. The shell does not outlive this
// process; what else it may have started holds the log, so that no second command begins beside it.
// Throws FileError if the log cannot be written or no process can be made.
CommandEnd RunCommand(const std::string& command, const std::filesystem::path& log,
                      const std::function<void(const std::string&)>& line, std::stop_token stop);

}  // namespace longrope
