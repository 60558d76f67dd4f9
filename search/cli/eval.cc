#include <cmath>
#include <cstdio>
#include <iostream>
#include <memory>
#include <optional>

#include "eval/errors.h"
#include "eval/model/json_file.h"
#include "eval/model/model_limits.h"
#include "eval/protocols/sliding_window.h"
#include "eval/scorer.h"
#include "search/cli/command.h"
#include "search/cli/console.h"
#include "search/cli/model_arguments.h"
#include "search/cli/rotations.h"
#include "search/cli/texts.h"

namespace longrope {
namespace {

struct Arguments {
  ModelArguments model;
  BackendArguments backend;
  RotationArguments rotation;
  std::vector<std::string> texts;
  std::vector<int64_t> lengths;
  int64_t stride = 0;  // tokens; 0: each text in one pass
  int64_t window = 0;  // tokens; 0: as many as the rotation is made for
  bool json = false;
};

// How texts are read; nullopt: in one pass.
std::optional<SlidingWindow> WindowOf(const Arguments& arguments, const Rotations& rotations) {
  if (arguments.stride == 0) return std::nullopt;
  const int64_t window = arguments.window > 0 ? arguments.window : rotations.Longest();
  if (window == 0) {
    throw InputError("--window: is required: the rotation does not say for what length it is made");
  }
  const SlidingWindow sliding{window, arguments.stride};
  CheckSlidingWindow(sliding);
  return sliding;
}

// Tokens of the longest pass over a text of `length` tokens.
int64_t PassLength(int64_t length, const std::optional<SlidingWindow>& sliding) {
  return sliding ? std::min(length, sliding->window) : length;
}

void PrintJson(const Text& text, int64_t length, const std::optional<SlidingWindow>& sliding,
               const Score& score) {
  nlohmann::ordered_json line;
  line["length"] = length;
  line["document"] = text.title;
  if (sliding) {
    line["window"] = sliding->window;
    line["stride"] = sliding->stride;
    line["windows"] = WindowsOver(length, *sliding).size();
  }
  line["tokens"] = score.tokens;
  line["nats"] = score.nats;
  line["perplexity"] = Perplexity(score.nats, score.tokens);
  // A file's name need not be UTF-8.
  std::cout << line.dump(-1, ' ', false, Json::error_handler_t::replace) << std::endl;
}

void PrintRow(const std::string& title, int64_t length, const Score& score) {
  char line[200];
  std::snprintf(
      line, sizeof line, "%10lld %-32s %10lld %16.6f %14.8f %14.6f", static_cast<long long>(length),
      title.substr(0, 32).c_str(), static_cast<long long>(score.tokens), score.nats,
      score.nats / static_cast<double>(score.tokens), Perplexity(score.nats, score.tokens));
  std::cout << line << std::endl;
}

void PrintHeader() {
  char line[200];
  std::snprintf(line, sizeof line, "%10s %-32s %10s %16s %14s %14s", "length", "document", "tokens",
                "nats", "nats/token", "perplexity");
  std::cout << line << std::endl;
}

// Scores texts of one length after the other.
class Evaluation {
 public:
  Evaluation(const Arguments& arguments, const ModelSource& source, const Rotations& rotations,
             const std::optional<SlidingWindow>& sliding, const Scorer& scorer,
             const std::vector<Text>& texts)
      : arguments_(arguments),
        source_(source),
        rotations_(rotations),
        sliding_(sliding),
        scorer_(scorer),
        texts_(texts) {}

  void Run(int64_t length) const {
    const RopeFactors factors = rotations_.For(PassLength(length, sliding_));
    Score total;
    for (const Text& text : texts_) {
      const Score score = ScoreOf(text, length, factors);
      total.nats += score.nats;
      total.tokens += score.tokens;
      if (arguments_.json) {
        PrintJson(text, length, sliding_, score);
      } else {
        PrintRow(text.title, length, score);
      }
    }
    if (!arguments_.json && texts_.size() > 1) PrintRow("all", length, total);
  }

 private:
  Score ScoreOf(const Text& text, int64_t length, const RopeFactors& factors) const {
    const auto tokens = std::span(text.tokens).first(static_cast<size_t>(length));
    const auto in_one_pass = [&](std::span<const int32_t> part, std::span<const uint8_t> scored) {
      return scorer_.ScoreTokens(part, factors, {}, scored);
    };
    const Score score =
        *(sliding_ ? ScoreInWindows(tokens, *sliding_, in_one_pass) : in_one_pass(tokens, {}));
    if (!std::isfinite(score.nats)) RefuseNonFinite(arguments_.model, source_, text.path);
    return score;
  }

  const Arguments& arguments_;
  const ModelSource& source_;
  const Rotations& rotations_;
  const std::optional<SlidingWindow>& sliding_;
  const Scorer& scorer_;
  const std::vector<Text>& texts_;
};

int Run(const Arguments& arguments) {
  const auto engine = MakeEngine(arguments.backend.Options());
  const auto source = OpenModel(arguments.model.path, arguments.model.Overrides());
  const auto tokenizer = OpenTokenizer(arguments.model.path, source->config().shape.vocab);
  const Rotations rotations(arguments.rotation, source->config());
  const std::vector<Text> texts =
      ReadTexts(arguments.texts, arguments.lengths, "--lengths", *tokenizer);
  const auto sliding = WindowOf(arguments, rotations);
  std::vector<int64_t> passes;
  for (int64_t each : arguments.lengths) passes.push_back(PassLength(each, sliding));
  rotations.Announce(passes, engine->name());
  if (sliding) {
    LogMessage("windows of " + std::to_string(sliding->window) + " tokens, one every " +
               std::to_string(sliding->stride));
  }
  // Within the model's own window that masks nothing, so one setting serves all lengths.
  const Scorer scorer(
      *engine, *source,
      {arguments.backend.Options().memory_bytes, std::ranges::max(passes), !rotations.Extend()});
  if (!arguments.json) PrintHeader();
  const Evaluation evaluation(arguments, *source, rotations, sliding, scorer, texts);
  for (int64_t each : arguments.lengths) evaluation.Run(each);
  return kExitDone;
}

}  // namespace

void AddEval(CLI::App& app, Action* action) {
  auto arguments = std::make_shared<Arguments>();
  CLI::App* command = app.add_subcommand(
      "eval", "Perplexity of the first N tokens of texts, in one pass each or in a sliding window");
  AddModelArguments(*command, &arguments->model);
  AddRotationArguments(*command, &arguments->rotation);
  command->add_option("--text", arguments->texts, "Text files")->required();
  AddLengthsArgument(*command, &arguments->lengths,
                     "Tokens to read, BOS included (N - 1 are scored), as 2048,8192");
  CLI::Option* stride =
      command
          ->add_option("--stride", arguments->stride,
                       "Read in windows that begin so many tokens apart, each a pass of its own; "
                       "every token is scored in the first window that holds it (the paper: 256)")
          ->check(CLI::Range(int64_t{1}, kMaxLength));
  command
      ->add_option("--window", arguments->window,
                   "Tokens of a window (default: what the factors, or --target, are made for; the "
                   "original length without them)")
      ->needs(stride)
      ->check(CLI::Range(kMinLength, kMaxLength));
  command->add_flag("--json", arguments->json, "One JSON object a line");
  AddBackendArguments(*command, &arguments->backend);
  command->callback([=] { *action = [=] { return Run(*arguments); }; });
}

}  // namespace longrope
