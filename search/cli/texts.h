// Texts of the command line, as token ids.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "eval/text/tokenizer.h"
#include "search/cli/command.h"

namespace longrope {

struct Text {
  std::string title, path;
  std::vector<int32_t> tokens;
};

// --lengths N,N,...
void AddLengthsArgument(CLI::App& command, std::vector<int64_t>* lengths, const std::string& help);

// A text file, CRLF folded. Throws InputError, for the archives that a job reads, too.
std::string ReadPlainText(const std::string& path);

// Throws InputError for a text shorter than one of `lengths`, the values of the option `named`.
std::vector<Text> ReadTexts(const std::vector<std::string>& paths,
                            const std::vector<int64_t>& lengths, const std::string& named,
                            const Tokenizer& tokenizer);

}  // namespace longrope
