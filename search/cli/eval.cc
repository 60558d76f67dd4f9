#include <cmath>
#include <cstdio>
#include <iostream>
#include <memory>
#include <optional>

#include "eval/errors.h"
#include "eval/rope_methods.h"
#include "eval/scorer.h"
#include "search/cli/command.h"
#include "search/cli/console.h"
#include "search/cli/model_arguments.h"
#include "search/cli/texts.h"
#include "search/factors/factor_file.h"
#include "search/number_text.h"

namespace longrope {
namespace {

struct Arguments {
  ModelArguments model;
  BackendArguments backend;
  std::string factors, method;
  int64_t target = 0;  // 0: the length at hand
  YarnOptions yarn;
  double attention_factor = 0;  // 0: the factors' own
  std::vector<std::string> texts;
  std::vector<int64_t> lengths;
  bool json = false;
};

// The rotation of a text of `length` tokens.
class Rotations {
 public:
  Rotations(const Arguments& arguments, const ModelConfig& config)
      : arguments_(arguments), config_(config) {
    if (!arguments.factors.empty()) {
      const FactorFile file = ReadFactorFile(arguments.factors);
      CheckFactorsFit(
          file, arguments.factors,
          {config.shape.head_dim, config.rope_base, config.original_length.value_or(0)});
      set_ = file.Set();
    } else if (arguments.method.empty()) {
      set_ = config.own_factors;
    }
    if (!arguments.method.empty()) method_ = RopeMethodNamed(arguments.method);
  }

  // Do they carry the model beyond what it learned on, so that its sliding window is off?
  bool Extend() const { return !arguments_.factors.empty() || method_ != RopeMethod::kNone; }

  // Where the rotation comes from.
  std::string Text() const {
    if (!arguments_.factors.empty()) return "factors of " + arguments_.factors;
    if (!arguments_.method.empty()) return "method " + arguments_.method;
    return config_.own_factors ? "longrope, as config.json says" : "plain, as config.json says";
  }

  RopeFactors For(int64_t length) const {
    RopeFactors factors = set_ ? set_->For(length) : MethodFactorsFor(length);
    if (arguments_.attention_factor > 0) factors.attention_factor = arguments_.attention_factor;
    return factors;
  }

 private:
  RopeFactors MethodFactorsFor(int64_t length) const {
    if (method_ == RopeMethod::kNone) {  // needs no original length
      return {std::vector<float>(static_cast<size_t>(config_.shape.head_dim / 2), 1.0f), 0, 1};
    }
    const RopeShape shape = config_.Rope();
    const auto target = static_cast<double>(arguments_.target > 0 ? arguments_.target : length);
    const double ratio = std::max(1.0, target / static_cast<double>(shape.original_length));
    return MethodFactors(method_, shape, ratio, length, arguments_.yarn);
  }

  const Arguments& arguments_;
  const ModelConfig& config_;
  std::optional<FactorSet> set_;
  RopeMethod method_ = RopeMethod::kNone;
};

void PrintJson(const Text& text, int64_t length, const Score& score) {
  nlohmann::ordered_json line;
  line["length"] = length;
  line["document"] = text.title;
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

[[noreturn]] void RefuseNonFinite(const Arguments& arguments, const ModelFolder& folder,
                                  const Text& text) {
  const std::string weight = folder.FindNonFinite();
  throw InputError(weight.empty() ? text.path + ": the loss is not finite, though every weight is"
                                  : arguments.model.path + ": " + weight + " is not finite");
}

int Run(const Arguments& arguments) {
  const auto engine = MakeEngine(arguments.backend.options);
  const ModelFolder folder(arguments.model.path, arguments.model.Overrides());
  const auto tokenizer = OpenTokenizer(arguments.model.path, folder.config().shape.vocab);
  const Rotations rotations(arguments, folder.config());
  const std::vector<Text> texts =
      ReadTexts(arguments.texts, arguments.lengths, "--lengths", *tokenizer);
  const int64_t window = folder.config().shape.sliding_window;
  const int64_t longest = *std::ranges::max_element(arguments.lengths);
  ScorerOptions options;
  options.memory_bytes = arguments.backend.MemoryBytes();
  options.longest = longest;
  // Within the window it masks nothing, so one setting serves all lengths.
  options.sliding_window = !rotations.Extend();
  if (window > 0 && longest > window && rotations.Extend()) {
    LogMessage("the model's sliding window of " + std::to_string(window) +
               " tokens is off: factors are applied beyond it");
  }
  LogMessage("rotation: " + rotations.Text() + "; m " +
             NumberText(rotations.For(longest).attention_factor) + ", start tokens " +
             std::to_string(rotations.For(longest).start_tokens) + " at " +
             std::to_string(longest) + " tokens; engine " + std::string(engine->name()));
  const Scorer scorer(*engine, folder, options);
  if (!arguments.json) PrintHeader();
  for (int64_t length : arguments.lengths) {
    const RopeFactors factors = rotations.For(length);
    Score total;
    for (const Text& text : texts) {
      const auto tokens = std::span(text.tokens).first(static_cast<size_t>(length));
      const Score score = *scorer.ScoreTokens(tokens, factors);
      if (!std::isfinite(score.nats)) RefuseNonFinite(arguments, folder, text);
      total.nats += score.nats;
      total.tokens += score.tokens;
      if (arguments.json) {
        PrintJson(text, length, score);
      } else {
        PrintRow(text.title, length, score);
      }
    }
    if (!arguments.json && texts.size() > 1) PrintRow("all", length, total);
  }
  return kExitDone;
}

}  // namespace

void AddEval(CLI::App& app, Action* action) {
  auto arguments = std::make_shared<Arguments>();
  CLI::App* command =
      app.add_subcommand("eval", "Perplexity of the first N tokens of texts, in one pass each");
  AddModelArguments(*command, &arguments->model);
  CLI::Option* factors =
      command->add_option("--factors", arguments->factors,
                          "Factor file: JSON of a search, or CSV (which says nothing of m: "
                          "1 unless --attention-factor)");
  CLI::Option* method =
      command
          ->add_option("--method", arguments->method,
                       "none (plain), pi, ntk, dynamic-ntk or yarn; without it and --factors the "
                       "rotation is the one of config.json")
          ->excludes(factors);
  command
      ->add_option("--target", arguments->target,
                   "Target length of the method in tokens (default: the length scored)")
      ->needs(method)
      ->check(CLI::Range(int64_t{1}, int64_t{1} << 32));
  AddYarnArguments(*command, &arguments->yarn);
  command
      ->add_option("--attention-factor", arguments->attention_factor,
                   "m, over the file's or the method's own")
      ->check(CLI::Range(0.1, 10.0));
  command->add_option("--text", arguments->texts, "Text files")->required();
  command
      ->add_option("--lengths", arguments->lengths,
                   "Tokens to read, BOS included (N - 1 are scored), as 2048,8192")
      ->required()
      ->delimiter(',')
      ->check(CLI::Range(int64_t{2}, int64_t{1} << 32));
  command->add_flag("--json", arguments->json, "One JSON object a line");
  AddBackendArguments(*command, &arguments->backend);
  command->callback([=] { *action = [=] { return Run(*arguments); }; });
}

}  // namespace longrope
