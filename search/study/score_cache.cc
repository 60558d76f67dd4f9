#include "search/study/score_cache.h"

#include <algorithm>
#include <charconv>
#include <string_view>
#include <utility>
#include <vector>

#include "eval/number_text.h"
#include "eval/storage/digest.h"

namespace longrope {
namespace {

template <class Number>
bool Parse(std::string_view text, Number* number) {
  const auto end = std::from_chars(text.data(), text.data() + text.size(), *number);
  return end.ec == std::errc() && end.ptr == text.data() + text.size();
}

class CachedEvaluator final : public Evaluator {
 public:
  CachedEvaluator(Evaluator& inner, ScoreCache& cache)
      : inner_(inner), cache_(cache), fingerprint_(inner.Fingerprint()) {}

  void Run(std::span<const Task> tasks, const Done& done, std::stop_token stop) override {
    std::vector<Task> missing;
    for (const Task& task : tasks) {
      if (stop.stop_requested()) return;
      if (const auto score = cache_.Find(ScoreKey(fingerprint_, task))) {
        done(task, *score);
      } else {
        missing.push_back(task);
      }
    }
    if (missing.empty()) return;
    const auto keep = [&](const Task& task, const Score& score) {
      cache_.Add(ScoreKey(fingerprint_, task), score);
      done(task, score);
    };
    inner_.Run(missing, keep, std::move(stop));
  }
  FingerprintParts Fingerprint() const override { return fingerprint_; }

 private:
  Evaluator& inner_;
  ScoreCache& cache_;
  FingerprintParts fingerprint_;
};

}  // namespace

std::optional<Score> ScoreCache::Find(const std::string& key) const {
  const std::string* text = lines_.Find(key);
  if (text == nullptr) return std::nullopt;
  const size_t comma = std::min(text->find(','), text->size());
  const auto view = std::string_view(*text);
  Score score;
  const bool whole = comma < text->size() && Parse(view.substr(0, comma), &score.nats) &&
                     Parse(view.substr(comma + 1), &score.tokens);
  return whole ? std::optional(score) : std::nullopt;
}

void ScoreCache::Add(const std::string& key, const Score& score) {
  lines_.Add(key, NumberText(score.nats) + "," + std::to_string(score.tokens));
}

std::string DocumentOf(const FingerprintParts& fingerprint, int number) {
  const std::string own = "document " + std::to_string(number);
  std::string text;
  for (const auto& [name, value] : fingerprint) {
    if (name == own || name.starts_with(own + " ")) {
      text += "document" + name.substr(own.size()) + "\n" + value + "\n";
    }
  }
  return text.empty() ? own : text;
}

std::string ScoreKey(const FingerprintParts& fingerprint, const Task& task) {
  std::string text;
  for (const auto& [name, value] : fingerprint) {
    if (!name.starts_with("document ")) text += name + "\n" + value + "\n";
  }
  text += DocumentOf(fingerprint, task.document);
  for (float lambda : task.factors.lambda) text += FloatText(lambda) + " ";
  text += "\n" + std::to_string(task.factors.start_tokens) + "\n" +
          NumberText(task.factors.attention_factor) + "\n";
  return Sha256Hex(text);
}

Evaluator* CachedStages::For(const StageOptions& stage, const std::string& path,
                             std::stop_token stop) {
  evaluator_.reset();
  Evaluator* inner = stages_.For(stage, path, std::move(stop));
  if (inner != nullptr) evaluator_ = std::make_unique<CachedEvaluator>(*inner, cache_);
  return evaluator_.get();
}

}  // namespace longrope
