#include <cmath>
#include <iostream>
#include <memory>

#include "eval/errors.h"
#include "eval/model/model_limits.h"
#include "eval/number_text.h"
#include "eval/rope_methods.h"
#include "eval/scorer.h"
#include "search/cli/command.h"
#include "search/cli/console.h"
#include "search/cli/model_arguments.h"
#include "search/cli/texts.h"
#include "search/factors/factor_file.h"
#include "search/job/job_options.h"

namespace longrope {
namespace {

struct Arguments {
  ModelArguments model;
  BackendArguments backend;
  std::string factors, table = "pairs";
  std::vector<std::string> texts;
  int64_t length = 0;
  std::vector<int64_t> start_tokens;  // none: those that a search tries
};

// Perplexity of the texts' first tokens under any factors, "" where it is not finite.
class Texts {
 public:
  Texts(const Arguments& arguments, const Scorer& scorer, const Tokenizer& tokenizer)
      : arguments_(arguments),
        scorer_(scorer),
        texts_(ReadTexts(arguments.texts, {arguments.length}, "--length", tokenizer)) {}

  std::string PerplexityOf(const RopeFactors& factors) const {
    Score total;
    for (const Text& text : texts_) {
      const auto tokens = std::span(text.tokens).first(static_cast<size_t>(arguments_.length));
      const Score score = *scorer_.ScoreTokens(tokens, factors);
      total.nats += score.nats;
      total.tokens += score.tokens;
    }
    const double perplexity = Perplexity(total.nats, total.tokens);
    return std::isfinite(perplexity) ? NumberText(perplexity) : "";
  }

 private:
  const Arguments& arguments_;
  const Scorer& scorer_;
  std::vector<Text> texts_;
};

// One pair back to its plain rotation, or to that of PI, all others as they are.
void PrintPairs(const Texts& texts, const RopeFactors& factors, double ratio) {
  const std::string whole = texts.PerplexityOf(factors);
  std::cout << "pair,lambda,at_1,at_s\nunchanged,," << whole << "," << whole << std::endl;
  for (size_t i = 0; i < factors.lambda.size(); ++i) {
    const auto with = [&](float lambda) {
      if (lambda == factors.lambda[i]) return whole;
      RopeFactors changed = factors;
      changed.lambda[i] = lambda;
      return texts.PerplexityOf(changed);
    };
    std::cout << i << "," << FloatText(factors.lambda[i]) << "," << with(1) << ","
              << with(static_cast<float>(ratio)) << std::endl;
  }
}

void PrintStartTokens(const Arguments& arguments, const Texts& texts, const RopeFactors& factors,
                      const RopeShape& shape, double ratio) {
  std::cout << "start_tokens,pi,ntk,yarn,factors" << std::endl;
  const StageOptions defaults;
  const auto& starts =
      arguments.start_tokens.empty() ? defaults.start_tokens : arguments.start_tokens;
  for (int64_t start : starts) {
    std::cout << start;
    for (RopeMethod method : {RopeMethod::kPi, RopeMethod::kNtk, RopeMethod::kYarn}) {
      RopeFactors closed = MethodFactors(method, shape, ratio, arguments.length);
      closed.start_tokens = start;
      std::cout << "," << texts.PerplexityOf(closed);
    }
    RopeFactors given = factors;
    given.start_tokens = start;
    std::cout << "," << texts.PerplexityOf(given) << std::endl;
  }
}

int Run(const Arguments& arguments) {
  if (arguments.table == "pairs" && !arguments.start_tokens.empty()) {
    throw InputError("--start-tokens: is for --table start-tokens");
  }
  const auto engine = MakeEngine(arguments.backend.Options());
  const auto source = OpenModel(arguments.model.path, arguments.model.Overrides());
  const auto tokenizer = OpenTokenizer(arguments.model.path, source->config().shape.vocab);
  const RopeShape shape = source->config().Rope();
  if (arguments.length <= shape.original_length) {
    throw InputError("--length " + std::to_string(arguments.length) +
                     ": allowed: above the model's original length, " +
                     std::to_string(shape.original_length));
  }
  const double ratio =
      static_cast<double>(arguments.length) / static_cast<double>(shape.original_length);
  const FactorFile file = ReadFactorFile(arguments.factors);
  CheckFactorsFit(file, arguments.factors, shape);
  const RopeFactors factors = file.Set().For(arguments.length);
  const Scorer scorer(
      *engine, *source,
      {arguments.backend.Options().memory_bytes, arguments.length, /*sliding_window=*/false});
  const Texts texts(arguments, scorer, *tokenizer);
  LogMessage("perplexity of " + std::to_string(arguments.texts.size()) + " texts, " +
             std::to_string(arguments.length) + " tokens each, s = " + NumberText(ratio) +
             ", engine " + std::string(engine->name()));
  if (arguments.table == "pairs") {
    PrintPairs(texts, factors, ratio);
  } else {
    PrintStartTokens(arguments, texts, factors, shape, ratio);
  }
  return kExitDone;
}

}  // namespace

void AddSensitivity(CLI::App& app, Action* action) {
  auto arguments = std::make_shared<Arguments>();
  CLI::App* command = app.add_subcommand(
      "sensitivity", "How much each part of the factors matters, as CSV of perplexities");
  AddModelArguments(*command, &arguments->model);
  command->add_option("--factors", arguments->factors, "Factor file, as for eval")->required();
  command->add_option("--text", arguments->texts, "Text files")->required();
  command->add_option("--length", arguments->length, "Tokens to read of each, BOS included")
      ->required()
      ->check(CLI::Range(kMinLength, kMaxLength));
  command
      ->add_option("--table", arguments->table,
                   "pairs: one lambda back to 1, or to s; start-tokens: other values of n-hat, for "
                   "PI, NTK and YaRN with their own m and for the factors with theirs")
      ->check(CLI::IsMember({"pairs", "start-tokens"}));
  command->add_option("--start-tokens", arguments->start_tokens, "Values of n-hat, as 0,16,64")
      ->delimiter(',')
      ->check(CLI::Range(int64_t{0}, kMaxLength));
  AddBackendArguments(*command, &arguments->backend);
  command->callback([=] { *action = [=] { return Run(*arguments); }; });
}

}  // namespace longrope
