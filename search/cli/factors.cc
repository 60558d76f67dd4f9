#include <cstdio>
#include <iostream>
#include <memory>

#include "eval/model/model_limits.h"
#include "eval/number_text.h"
#include "eval/rope_methods.h"
#include "search/cli/command.h"
#include "search/cli/model_arguments.h"
#include "search/factors/factor_file.h"

namespace longrope {
namespace {

struct Arguments {
  ModelArguments model;
  int64_t length = 0;
  YarnOptions yarn;
  bool json = false;
};

struct Column {
  std::string name;
  RopeFactors factors;
};

void PrintJson(const std::vector<Column>& columns, int64_t length, double ratio) {
  for (const Column& column : columns) {
    nlohmann::ordered_json json;
    json["method"] = column.name;
    json["length"] = length;
    json["ratio"] = ratio;
    json["attention_factor"] = column.factors.attention_factor;
    for (float value : column.factors.lambda) json["lambda"].push_back(ShortestDecimal(value));
    std::cout << json.dump() << '\n';
  }
}

void PrintTable(const std::vector<Column>& columns) {
  const auto print = [](const std::string& first, const auto& cell) {
    std::cout << first << std::string(18 - first.size(), ' ');
    cell();
    std::cout << '\n';
  };
  char text[32];
  print("pair", [&] {
    for (const Column& column : columns) {
      std::snprintf(text, sizeof text, " %14s", column.name.c_str());
      std::cout << text;
    }
  });
  print("attention_factor", [&] {
    for (const Column& column : columns) {
      std::snprintf(text, sizeof text, " %14.9g", column.factors.attention_factor);
      std::cout << text;
    }
  });
  for (size_t pair = 0; pair < columns.front().factors.lambda.size(); ++pair) {
    print(std::to_string(pair), [&] {
      for (const Column& column : columns) {
        std::snprintf(text, sizeof text, " %14.9g",
                      static_cast<double>(column.factors.lambda[pair]));
        std::cout << text;
      }
    });
  }
}

int Run(const Arguments& arguments) {
  const RopeShape shape = ModelConfigOf(arguments.model.path, arguments.model.Overrides()).Rope();
  const double ratio = std::max(
      1.0, static_cast<double>(arguments.length) / static_cast<double>(shape.original_length));
  std::vector<Column> columns;
  for (RopeMethod method : AllRopeMethods()) {
    if (method == RopeMethod::kNone) continue;
    columns.push_back({std::string(NameOf(method)),
                       MethodFactors(method, shape, ratio, arguments.length, arguments.yarn)});
  }
  if (arguments.json) {
    PrintJson(columns, arguments.length, ratio);
  } else {
    PrintTable(columns);
  }
  return kExitDone;
}

}  // namespace

void AddFactors(CLI::App& app, Action* action) {
  auto arguments = std::make_shared<Arguments>();
  CLI::App* command = app.add_subcommand(
      "factors", "Print the factors of PI, NTK, Dynamic NTK and YaRN for a model and a length");
  AddModelArguments(*command, &arguments->model);
  command->add_option("--length", arguments->length, "Target length in tokens")
      ->required()
      ->check(CLI::Range(int64_t{1}, kMaxLength));
  AddYarnArguments(*command, &arguments->yarn);
  command->add_flag("--json", arguments->json, "One JSON object a method");
  command->callback([=] { *action = [=] { return Run(*arguments); }; });
}

}  // namespace longrope
