#include "search/cli/texts.h"

#include <filesystem>

#include "eval/errors.h"
#include "eval/model/model_limits.h"
#include "eval/text/corpus.h"

namespace longrope {

void AddLengthsArgument(CLI::App& command, std::vector<int64_t>* lengths, const std::string& help) {
  command.add_option("--lengths", *lengths, help)
      ->required()
      ->delimiter(',')
      ->check(CLI::Range(kMinLength, kMaxLength));
}

std::string ReadPlainText(const std::string& path) {
  const std::string ending = std::filesystem::path(path).extension().string();
  for (const char* packed : {".gz", ".zst", ".tgz", ".tar", ".jsonl"}) {
    if (ending != packed) continue;
    throw InputError(path + ": only plain text files are read here; " + ending +
                     " is for data.path of a job");
  }
  return ReadText(path);
}

std::vector<Text> ReadTexts(const std::vector<std::string>& paths,
                            const std::vector<int64_t>& lengths, const std::string& named,
                            const Tokenizer& tokenizer) {
  std::vector<Text> texts;
  for (const std::string& path : paths) {
    texts.push_back(
        {std::filesystem::path(path).stem().string(), path, tokenizer.Encode(ReadPlainText(path))});
    const auto tokens = static_cast<int64_t>(texts.back().tokens.size());
    for (int64_t length : lengths) {
      if (length <= tokens) continue;
      throw InputError(path + ": has " + std::to_string(tokens) + " tokens, " + named +
                       " asks for " + std::to_string(length));
    }
  }
  return texts;
}

}  // namespace longrope
