#include "search/study/score_cache.h"

#include <charconv>
#include <string_view>
#include <utility>
#include <vector>

#include "eval/storage/digest.h"
#include "eval/storage/files.h"
#include "search/number_text.h"

namespace longrope {
namespace {

constexpr int64_t kMaxBytes = int64_t{1} << 32;
constexpr size_t kCheckDigits = 8;

std::string CheckOf(std::string_view text) { return Sha256Hex(text).substr(0, kCheckDigits); }

std::string LineOf(const std::string& key, const Score& score) {
  const std::string text = key + "," + NumberText(score.nats) + "," + std::to_string(score.tokens);
  return text + "," + CheckOf(text) + "\n";
}

template <class Number>
bool Parse(std::string_view text, Number* number) {
  const auto end = std::from_chars(text.data(), text.data() + text.size(), *number);
  return end.ec == std::errc() && end.ptr == text.data() + text.size();
}

// nullopt if the line, without its end, is not as LineOf writes it.
std::optional<std::pair<std::string, Score>> ParseLine(std::string_view line) {
  const size_t last = line.rfind(',');
  if (last == std::string_view::npos || line.substr(last + 1) != CheckOf(line.substr(0, last))) {
    return std::nullopt;
  }
  const std::string_view text = line.substr(0, last);
  const size_t first = text.find(','), second = text.find(',', first + 1);
  if (second == std::string_view::npos) return std::nullopt;
  Score score;
  if (!Parse(text.substr(first + 1, second - first - 1), &score.nats) ||
      !Parse(text.substr(second + 1), &score.tokens)) {
    return std::nullopt;
  }
  return std::pair(std::string(text.substr(0, first)), score);
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

ScoreCache::ScoreCache(FileSystem& files, std::filesystem::path path)
    : files_(files), path_(std::move(path)) {
  if (!std::filesystem::exists(path_)) return;
  const std::string text = ReadFile(path_, kMaxBytes);
  std::string whole;
  for (size_t begin = 0; begin < text.size();) {
    const size_t end = std::min(text.find('\n', begin), text.size());
    const auto line = std::string_view(text).substr(begin, end - begin);
    if (auto parsed = ParseLine(line)) {
      scores_.insert(std::move(*parsed));
      whole += std::string(line) + "\n";
    }
    begin = end + 1;
  }
  if (whole != text) ReplaceFile(files_, path_, whole);
}

std::optional<Score> ScoreCache::Find(const std::string& key) const {
  const auto found = scores_.find(key);
  return found == scores_.end() ? std::nullopt : std::optional(found->second);
}

void ScoreCache::Add(const std::string& key, const Score& score) {
  if (scores_.emplace(key, score).second) AppendFile(files_, path_, LineOf(key, score));
}

std::string ScoreKey(const FingerprintParts& fingerprint, const Task& task) {
  const std::string own = "document " + std::to_string(task.document);
  std::string text, document = own, more;  // of the document, as which of its tokens are scored
  for (const auto& [name, value] : fingerprint) {
    if (name == own) {
      document = value;
    } else if (name.starts_with(own + " ")) {
      more += name.substr(own.size()) + "\n" + value + "\n";
    } else if (!name.starts_with("document ")) {
      text += name + "\n" + value + "\n";
    }
  }
  text += "document\n" + document + "\n" + more;
  for (float lambda : task.factors.lambda) text += FloatText(lambda) + " ";
  text += "\n" + std::to_string(task.factors.start_tokens) + "\n" +
          NumberText(task.factors.attention_factor) + "\n";
  return Sha256Hex(text);
}

Evaluator* CachedStages::For(const StageOptions& stage, std::stop_token stop) {
  evaluator_.reset();
  Evaluator* inner = stages_.For(stage, std::move(stop));
  if (inner != nullptr) evaluator_ = std::make_unique<CachedEvaluator>(*inner, cache_);
  return evaluator_.get();
}

}  // namespace longrope
