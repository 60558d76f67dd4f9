#include "eval/protocols/passkey.h"

#include <algorithm>
#include <stdexcept>

#include "eval/errors.h"

namespace longrope {
namespace {

constexpr std::string_view kTask =
    "There is an important info hidden inside a lot of irrelevant text. Find it and memorize them. "
    "I will quiz you about the important information there.";
constexpr std::string_view kFiller =
    " The grass is green. The sky is blue. The sun is yellow. Here we go. There and back again.";
constexpr std::string_view kQuestion = " What is the pass key? The pass key is";

void Repeat(std::string_view text, int64_t times, std::string* out) {
  for (int64_t i = 0; i < times; ++i) *out += text;
}

int64_t Before(int64_t repeats, const PasskeyDraw& draw) {
  const auto before = static_cast<int64_t>(draw.place * static_cast<double>(repeats + 1));
  return std::min(before, repeats);  // the product may round up
}

// Prompts of one draw with any number of repeats.
class Prompts {
 public:
  Prompts(const Tokenizer& tokenizer, const PasskeyDraw& draw)
      : tokenizer_(tokenizer), draw_(draw) {}

  std::string Text(int64_t repeats) const {
    const int64_t before = Before(repeats, draw_);
    return PasskeyText(before, repeats - before, draw_.key);
  }
  // With the answer.
  std::vector<int32_t> Tokens(int64_t repeats) const {
    return tokenizer_.Encode(Text(repeats) + " " + std::to_string(draw_.key));
  }

 private:
  const Tokenizer& tokenizer_;
  const PasskeyDraw& draw_;
};

struct Fit {
  int64_t repeats = 0;
  std::vector<int32_t> tokens;
};

// The most repeats that fit: by the tokens that a repeat has taken so far, then one by one.
Fit FindFit(const Prompts& prompts, int64_t length) {
  Fit fit{0, prompts.Tokens(0)};
  const auto empty = static_cast<int64_t>(fit.tokens.size());
  if (empty > length) {
    throw InputError("a passkey in " + std::to_string(length) + " tokens: its prompt takes " +
                     std::to_string(empty) + " even without filler");
  }
  int64_t too_many = length - empty + 1;  // a repeat takes a token at least
  while (too_many - fit.repeats > 1) {
    const auto used = static_cast<int64_t>(fit.tokens.size());
    int64_t more = 1;
    if (fit.repeats > 0 && used > empty) {
      more = static_cast<int64_t>(static_cast<double>(length - used) *
                                  static_cast<double>(fit.repeats) /
                                  static_cast<double>(used - empty));
    }
    const int64_t trial = fit.repeats + std::clamp<int64_t>(more, 1, too_many - fit.repeats - 1);
    std::vector<int32_t> tokens = prompts.Tokens(trial);
    if (static_cast<int64_t>(tokens.size()) <= length) {
      fit = {trial, std::move(tokens)};
    } else {
      too_many = trial;
    }
  }
  return fit;
}

}  // namespace

std::string PasskeyText(int64_t before, int64_t after, int32_t key) {
  const std::string number = std::to_string(key);
  std::string text(kTask);
  text.reserve(static_cast<size_t>(before + after) * kFiller.size() + 400);
  Repeat(kFiller, before, &text);
  text += " The pass key is " + number + ". Remember it. " + number + " is the pass key.";
  Repeat(kFiller, after, &text);
  return text.append(kQuestion);
}

PasskeyPrompt MakePasskeyPrompt(const Tokenizer& tokenizer, int64_t length,
                                const PasskeyDraw& draw) {
  if (draw.key < 10000 || draw.key > 99999 || !(draw.place >= 0 && draw.place < 1)) {
    throw std::invalid_argument("a passkey needs five digits and a place in [0, 1)");
  }
  const Prompts prompts(tokenizer, draw);
  Fit fit = FindFit(prompts, length);
  const std::vector<int32_t> alone = tokenizer.Encode(prompts.Text(fit.repeats));
  PasskeyPrompt prompt;
  prompt.length = length;
  prompt.key = draw.key;
  if (fit.repeats > 0) {
    prompt.depth =
        static_cast<double>(Before(fit.repeats, draw)) / static_cast<double>(fit.repeats);
  }
  prompt.answer = std::ranges::mismatch(fit.tokens, alone).in1 - fit.tokens.begin();
  if (prompt.answer < 1 || prompt.answer == static_cast<int64_t>(fit.tokens.size())) {
    throw InputError("a passkey: the tokenizer makes no ids of the answer");
  }
  prompt.tokens = std::move(fit.tokens);
  return prompt;
}

std::optional<PasskeyResult> TryPasskey(const PasskeyPrompt& prompt, const ScoreEachOf& score) {
  std::vector<uint8_t> scored(prompt.tokens.size());
  std::fill(scored.begin() + prompt.answer, scored.end(), uint8_t{1});
  const auto scores = score(prompt.tokens, scored);
  if (!scores) return std::nullopt;
  const auto first = static_cast<size_t>(prompt.answer - 1);  // element i is about token i + 1
  PasskeyResult result{
      prompt.length, static_cast<int64_t>(prompt.tokens.size()), prompt.depth, prompt.key, true, 0};
  for (size_t i = first; i < scores->nats.size(); ++i) {
    result.nats += scores->nats[i];
    result.right = result.right && scores->likeliest[i] != 0;
  }
  return result;
}

}  // namespace longrope
