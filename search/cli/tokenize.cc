#include <iostream>
#include <memory>

#include "eval/model/model_source.h"
#include "eval/text/tokenizer.h"
#include "search/cli/command.h"
#include "search/cli/texts.h"

namespace longrope {
namespace {

struct Arguments {
  std::string model, file;
};

int Run(const Arguments& arguments) {
  const ModelConfig config = ModelConfigOf(arguments.model, {});
  const auto tokenizer = OpenTokenizer(arguments.model, config.shape.vocab);
  for (int32_t id : tokenizer->Encode(ReadPlainText(arguments.file))) std::cout << id << '\n';
  return kExitDone;
}

}  // namespace

void AddTokenize(CLI::App& app, Action* action) {
  auto arguments = std::make_shared<Arguments>();
  CLI::App* command =
      app.add_subcommand("tokenize", "Print the token ids that eval would score, one a line");
  command->add_option("--model", arguments->model, "Hugging Face folder, or GGUF file")->required();
  command->add_option("file", arguments->file, "Text file")->required();
  command->callback([=] { *action = [=] { return Run(*arguments); }; });
}

}  // namespace longrope
