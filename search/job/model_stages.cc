#include "search/job/model_stages.h"

#include <algorithm>
#include <optional>
#include <sstream>
#include <utility>

#include "eval/backend.h"
#include "eval/errors.h"
#include "eval/evaluator_pool.h"
#include "eval/storage/digest.h"
#include "eval/storage/line_cache.h"
#include "kernels/device_error.h"
#include "search/job/key_token_reference.h"
#include "search/job/model_options.h"
#include "search/job/stage_documents.h"

namespace longrope {

namespace {

constexpr std::ptrdiff_t kFewKeyTokens = 50;

// Positions of marked tokens, blanks between, and back; nullopt if it is not such a text.
std::string PositionsOf(const std::vector<uint8_t>& marks) {
  std::string text;
  for (size_t i = 0; i < marks.size(); ++i) {
    if (marks[i] != 0) text += (text.empty() ? "" : " ") + std::to_string(i);
  }
  return text;
}
std::optional<std::vector<uint8_t>> MarksAt(const std::string& positions, size_t tokens) {
  std::vector<uint8_t> marks(tokens);
  std::istringstream numbers(positions);
  for (size_t position = 0; numbers >> position;) {
    if (position >= tokens) return std::nullopt;
    marks[position] = 1;
  }
  return marks;
}

}  // namespace

ModelStages::ModelStages(const Job& job, RunObserver& observer, std::filesystem::path key_tokens,
                         std::vector<std::unique_ptr<Engine>> engines)
    : job_(job),
      observer_(observer),
      texts_(job, ListenerOf(observer)),
      engines_(std::move(engines)),
      key_tokens_(std::move(key_tokens)) {}

void ModelStages::Open(const std::string& path) {
  if (source_ && path_ == path) return;
  Release();
  source_.reset();
  digest_.clear();
  if (engines_.empty()) {
    engines_ = MakeEngines(BackendOptionsOf(
        job_.backend, [this](const std::string& line) { observer_.OnMessage(line); }));
  }
  source_ = OpenModel(path, OverridesOf(job_.model));
  if (const std::string note = source_->config().OriginalNote(); !note.empty()) {
    observer_.OnMessage(note);
  }
  path_ = path;
}

StageModel ModelStages::ModelAt(const std::string& path) {
  return StageModelOf(ModelConfigOf(path, OverridesOf(job_.model)));
}

void ModelStages::BindFor(const StageOptions& stage) {
  const int64_t sliding = source_->config().shape.sliding_window;
  const bool window = sliding >= stage.length;
  if (sliding > 0 && !window) {
    observer_.OnMessage("stage " + stage.name + ": the model's sliding window of " +
                        std::to_string(sliding) + " tokens is off: factors are applied beyond it");
  }
  // Where a device keeps what depends on the longest document.
  const bool reaches = stage.length <= longest_ || !engines_.front()->DeviceBytes();
  if (scorers_.empty() || window != window_ || !reaches) {
    Release();  // two copies of the weights might not fit
    DropLost();
    std::vector<std::unique_ptr<Scorer>> scorers;
    for (size_t i = 0; i < engines_.size(); ++i) {
      ScorerOptions options = ScorerOptionsOf(job_, stage, window);
      options.devices = static_cast<int>(engines_.size() - i);
      try {
        scorers.push_back(std::make_unique<Scorer>(*engines_[i], *source_, options));
      } catch (const DeviceError& error) {
        if (error.kind() != DeviceError::Kind::kLost || engines_.size() == 1) throw;
        OnLost(i, error.what());
        scorers.emplace_back();  // in step with engines_
      }
    }
    scorers_ = std::move(scorers);
    DropLost();
    window_ = window;
    longest_ = stage.length;
  }
  const Engine& engine = *engines_.front();
  const ForwardPlan plan = scorers_.front()->Plan(stage.length);
  observer_.OnMessage(
      "stage " + stage.name + ": engine " + std::string(engine.name()) +
      (engines_.size() > 1 ? " on " + std::to_string(engines_.size()) + " devices" : "") + ", " +
      std::to_string(engine.Threads()) + " threads, " +
      (plan.scope == KvScope::kAllLayers ? "chunk by chunk through all layers" : "layer by layer") +
      "; memory: " + plan.account.Text());
}

Evaluator* ModelStages::For(const StageOptions& stage, const std::string& path,
                            std::stop_token stop) {
  evaluator_.reset();
  DropLost();
  Open(path);
  const Reading reading = texts_.Open(source_->config().shape.vocab, stop);
  auto documents = DrawAnnounced(job_, stage, reading, observer_);
  if (!documents) return nullptr;
  if (const auto& own = source_->config().own_factors; own && stage.kind == "search") {
    observer_.OnMessage("stage " + stage.name +
                        ": starts from a rotation that is rescaled already (" + own->Text() +
                        "); what it finds multiplies that");
  }
  if (!MarkScored(stage, reading.tokenizer, &*documents, std::move(stop))) return nullptr;
  BindFor(stage);
  if (digest_.empty()) digest_ = source_->Digest();
  evaluator_ = EvaluatorOf(std::move(*documents));
  return evaluator_.get();
}

std::unique_ptr<Evaluator> ModelStages::EvaluatorOf(std::vector<Document> documents) {
  std::vector<std::unique_ptr<Evaluator>> members;
  for (const auto& scorer : scorers_) {
    members.push_back(std::make_unique<ModelEvaluator>(*scorer, documents, digest_));
  }
  if (members.size() == 1) return std::move(members.front());
  return std::make_unique<EvaluatorPool>(
      std::move(members), [this](size_t engine, const std::string& why) { OnLost(engine, why); });
}

void ModelStages::OnLost(size_t engine, const std::string& why) {
  lost_.push_back(engine);
  observer_.OnMessage("a device is lost, what it was to do goes to another: " + why);
}

void ModelStages::DropLost() {
  std::ranges::sort(lost_, std::greater());
  for (const size_t engine : lost_) {
    const auto at = static_cast<std::ptrdiff_t>(engine);
    if (!scorers_.empty()) scorers_.erase(scorers_.begin() + at);
    engines_.erase(engines_.begin() + at);
  }
  all_lost_ = all_lost_ || (!lost_.empty() && engines_.empty());
  lost_.clear();
  if (all_lost_) throw DeviceError(DeviceError::Kind::kLost, "all devices are lost");
}

bool ModelStages::MarkScored(const StageOptions& stage, const Tokenizer* tokenizer,
                             std::vector<Document>* documents, std::stop_token stop) {
  if (stage.objective == "tail") MarkTail(stage, source_->config().OriginalLength(), documents);
  return stage.objective != "key" || MarkKeyTokens(stage, *tokenizer, documents, std::move(stop));
}

bool ModelStages::MarkKeyTokens(const StageOptions& stage, const Tokenizer& tokenizer,
                                std::vector<Document>* documents, std::stop_token stop) {
  Release();  // the reference's weights take their place
  const int64_t window = source_->config().OriginalLength();
  KeyTokenReference reference(*engines_.front(), job_, stage, tokenizer, window);
  LineCache found(FileSystem::Real(), key_tokens_);
  for (Document& document : *documents) {
    document.objective = "key tokens by " + reference.text() + ", short context " +
                         std::to_string(window) + ", engine " +
                         std::string(engines_.front()->name());
    const std::string key = document.digest + " " + Sha256Hex(document.objective);
    const std::string* before = found.Find(key);
    auto marks = before != nullptr ? MarksAt(*before, document.tokens.size()) : std::nullopt;
    if (!marks) {
      observer_.OnMessage("stage " + stage.name + ": looks for key tokens in " +
                          DocumentText(document));
      marks = reference.Mark(document.tokens, tokenizer.Prefix(), stop);
    }
    if (!marks) return false;
    found.Add(key, PositionsOf(*marks));
    const auto count = std::ranges::count(*marks, uint8_t{1});
    observer_.OnMessage("stage " + stage.name + ": " + std::to_string(count) + " key tokens in " +
                        DocumentText(document));
    if (count == 0) {
      throw InputError("stages." + stage.name + ".objective: key: no token of " +
                       DocumentText(document) + " is a key token by " + reference.text() +
                       "; allowed: a lower key_gain or key_floor, another reference, other books");
    }
    if (count < kFewKeyTokens) {
      observer_.OnWarning("stage " + stage.name +
                          ": the perplexity of so few tokens is mostly chance");
    }
    document.scored = std::move(*marks);
  }
  return true;
}

void ModelStages::Release() {
  evaluator_.reset();
  scorers_.clear();
}

std::string ModelStages::FindNonFiniteWeight() {
  const std::string found = source_->FindNonFinite();
  return found.empty() ? "" : path_ + ": " + found + " is not finite";
}

}  // namespace longrope
