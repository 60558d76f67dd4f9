#include "eval/protocols/passkey.h"

#include <cmath>
#include <cstdio>
#include <iomanip>
#include <iostream>
#include <memory>

#include "eval/model/json_file.h"
#include "eval/protocols/passkey_accuracy.h"
#include "eval/scorer.h"
#include "search/cli/command.h"
#include "search/cli/model_arguments.h"
#include "search/cli/rotations.h"
#include "search/cli/texts.h"
#include "search/passkey_draws.h"

namespace longrope {
namespace {

constexpr int kDepthBins = 5;

struct Arguments {
  ModelArguments model;
  BackendArguments backend;
  RotationArguments rotation;
  std::vector<int64_t> lengths;
  int tries = 10;  // a length
  uint64_t seed = 1;
  bool json = false;
};

// "0.2-0.4", depths of one bin.
std::string BinText(int bin) {
  char text[40];
  std::snprintf(text, sizeof text, "%g-%g", double(bin) / kDepthBins, double(bin + 1) / kDepthBins);
  return text;
}

void PrintLine(const std::vector<std::string>& columns) {
  for (const std::string& column : columns) std::cout << std::setw(10) << column;
  std::cout << std::endl;
}

void PrintHeader() {
  std::vector<std::string> columns = {"length", "tries", "right", "accuracy"};
  for (int bin = 0; bin < kDepthBins; ++bin) columns.push_back(BinText(bin));
  PrintLine(columns);
}

void PrintRow(const std::string& length, std::span<const PasskeyResult> results) {
  const PasskeyAccuracy all = AccuracyOf(results);
  char share[20];
  std::snprintf(share, sizeof share, "%.4f", all.Share());
  std::vector<std::string> columns = {length, std::to_string(all.tries), std::to_string(all.right),
                                      share};
  for (const PasskeyAccuracy& part : AccuracyByDepth(results, kDepthBins)) {
    columns.push_back(part.Text());
  }
  PrintLine(columns);
}

nlohmann::ordered_json JsonOf(const PasskeyAccuracy& accuracy) {
  nlohmann::ordered_json json;
  json["tries"] = accuracy.tries;
  json["right"] = accuracy.right;
  json["accuracy"] = accuracy.Share();  // null without tries
  return json;
}

void PrintJson(int64_t length, std::span<const PasskeyResult> results) {
  nlohmann::ordered_json line;
  line["length"] = length;
  line.update(JsonOf(AccuracyOf(results)));
  const auto parts = AccuracyByDepth(results, kDepthBins);
  for (int bin = 0; bin < kDepthBins; ++bin) {
    nlohmann::ordered_json part;
    part["from"] = double(bin) / kDepthBins;
    part["to"] = double(bin + 1) / kDepthBins;
    part.update(JsonOf(parts[static_cast<size_t>(bin)]));
    line["by_depth"].push_back(part);
  }
  for (const PasskeyResult& result : results) {
    nlohmann::ordered_json one;
    one["tokens"] = result.tokens;
    one["depth"] = result.depth;
    one["key"] = result.key;
    one["right"] = result.right;
    one["nats"] = result.nats;
    line["results"].push_back(one);
  }
  std::cout << line.dump() << std::endl;
}

int Run(const Arguments& arguments) {
  const auto engine = MakeEngine(arguments.backend.Options());
  const auto source = OpenModel(arguments.model.path, arguments.model.Overrides());
  const auto tokenizer = OpenTokenizer(arguments.model.path, source->config().shape.vocab);
  const Rotations rotations(arguments.rotation, source->config());
  const auto [shortest, longest] = std::ranges::minmax(arguments.lengths);
  // A length that holds no prompt is refused before anything is scored.
  MakePasskeyPrompt(*tokenizer, shortest, DrawPasskeys(arguments.seed, shortest, 1)[0]);
  rotations.Announce(arguments.lengths, engine->name());
  const Scorer scorer(*engine, *source,
                      {arguments.backend.Options().memory_bytes, longest, !rotations.Extend()});
  if (!arguments.json) PrintHeader();
  std::vector<PasskeyResult> all;
  for (int64_t length : arguments.lengths) {
    const RopeFactors factors = rotations.For(length);
    std::vector<PasskeyResult> results;
    for (const PasskeyDraw& draw : DrawPasskeys(arguments.seed, length, arguments.tries)) {
      results.push_back(
          *TryPasskey(MakePasskeyPrompt(*tokenizer, length, draw), [&](auto tokens, auto scored) {
            return scorer.ScoreEachToken(tokens, factors, {}, scored);
          }));
      if (!std::isfinite(results.back().nats)) {
        RefuseNonFinite(arguments.model, *source,
                        "a passkey in " + std::to_string(length) + " tokens");
      }
    }
    if (arguments.json) {
      PrintJson(length, results);
    } else {
      PrintRow(std::to_string(length), results);
    }
    all.insert(all.end(), results.begin(), results.end());
  }
  if (!arguments.json && arguments.lengths.size() > 1) PrintRow("all", all);
  return kExitDone;
}

}  // namespace

void AddPasskey(CLI::App& app, Action* action) {
  auto arguments = std::make_shared<Arguments>();
  CLI::App* command = app.add_subcommand(
      "passkey", "Is a five-digit number found again in a long text? Accuracy by length and depth");
  AddModelArguments(*command, &arguments->model);
  AddRotationArguments(*command, &arguments->rotation);
  AddLengthsArgument(*command, &arguments->lengths,
                     "Tokens that prompt and answer may take, as 4096,8192");
  command->add_option("--tries", arguments->tries, "Keys and depths a length (default 10)")
      ->check(CLI::Range(1, 1'000'000));
  command->add_option("--seed", arguments->seed, "Of keys and depths (default 1)");
  command->add_flag("--json", arguments->json, "One JSON object a length");
  AddBackendArguments(*command, &arguments->backend);
  command->callback([=] { *action = [=] { return Run(*arguments); }; });
}

}  // namespace longrope
