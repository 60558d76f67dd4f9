#include "search/job/model_stages.h"

#include <algorithm>
#include <optional>
#include <sstream>
#include <utility>

#include "eval/backend.h"
#include "eval/errors.h"
#include "eval/storage/digest.h"
#include "eval/storage/line_cache.h"
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

ModelStages::ModelStages(const Job& job, RunObserver& observer, std::filesystem::path key_tokens)
    : job_(job), observer_(observer), key_tokens_(std::move(key_tokens)) {}

void ModelStages::Open(const std::string& path) {
  if (folder_ && path_ == path) return;
  evaluator_.reset();
  scorer_.reset();
  folder_.reset();
  digest_.clear();
  if (!engine_) engine_ = MakeEngine({job_.backend.name, job_.backend.threads});
  folder_ = std::make_unique<ModelFolder>(path, OverridesOf(job_.model));
  path_ = path;
}

StageModel ModelStages::ModelAt(const std::string& path) {
  return StageModelOf(ReadModelConfig(path, OverridesOf(job_.model)));
}

void ModelStages::Announce(const StageOptions& stage,
                           const std::vector<Document>& documents) const {
  for (size_t i = 0; i < documents.size(); ++i) {
    const bool fitness = i < static_cast<size_t>(stage.documents);
    observer_.OnMessage("stage " + stage.name + ": " + (fitness ? "fitness" : "held-out") +
                        " document " + DocumentText(documents[i]));
  }
}

void ModelStages::BindFor(const StageOptions& stage) {
  const int64_t sliding = folder_->config().shape.sliding_window;
  const bool window = sliding >= stage.length;
  if (sliding > 0 && !window) {
    observer_.OnMessage("stage " + stage.name + ": the model's sliding window of " +
                        std::to_string(sliding) + " tokens is off: factors are applied beyond it");
  }
  if (!scorer_ || window != window_) {
    evaluator_.reset();
    scorer_.reset();  // two copies of the weights might not fit
    scorer_ = std::make_unique<Scorer>(*engine_, *folder_, ScorerOptionsOf(job_, stage, window));
    window_ = window;
  }
  const ForwardPlan plan = scorer_->Plan(stage.length);
  observer_.OnMessage(
      "stage " + stage.name + ": engine " + std::string(engine_->name()) + ", " +
      std::to_string(engine_->Threads()) + " threads, " +
      (plan.scope == KvScope::kAllLayers ? "chunk by chunk through all layers" : "layer by layer") +
      "; memory: " + plan.account.Text());
}

Evaluator* ModelStages::For(const StageOptions& stage, const std::string& path,
                            std::stop_token stop) {
  Open(path);
  // A fine-tune keeps the tokenizer, and need not copy it.
  const auto tokenizer = OpenTokenizer(job_.model.path, folder_->config().shape.vocab);
  std::vector<Document> documents = DrawStageDocuments(job_, stage, *tokenizer);
  Announce(stage, documents);
  if (!MarkScored(stage, *tokenizer, &documents, std::move(stop))) return nullptr;
  BindFor(stage);
  if (digest_.empty()) digest_ = folder_->Digest();
  evaluator_ = std::make_unique<ModelEvaluator>(*scorer_, std::move(documents), digest_);
  return evaluator_.get();
}

bool ModelStages::MarkScored(const StageOptions& stage, const Tokenizer& tokenizer,
                             std::vector<Document>* documents, std::stop_token stop) {
  if (stage.objective == "tail") {
    const int64_t original = folder_->config().OriginalLength();
    for (Document& document : *documents) {
      document.scored = TailTokens(stage.length, original);
      document.objective = "tail from token " + std::to_string(original);
    }
  }
  return stage.objective != "key" || MarkKeyTokens(stage, tokenizer, documents, std::move(stop));
}

bool ModelStages::MarkKeyTokens(const StageOptions& stage, const Tokenizer& tokenizer,
                                std::vector<Document>* documents, std::stop_token stop) {
  evaluator_.reset();
  scorer_.reset();  // the reference's weights take their place
  const int64_t window = folder_->config().OriginalLength();
  KeyTokenReference reference(*engine_, job_, stage, tokenizer, window);
  LineCache found(FileSystem::Real(), key_tokens_);
  for (Document& document : *documents) {
    document.objective = "key tokens by " + reference.text() + ", short context " +
                         std::to_string(window) + ", engine " + std::string(engine_->name());
    const std::string key = document.digest + " " + Sha256Hex(document.objective);
    const std::string* before = found.Find(key);
    auto marks = before != nullptr ? MarksAt(*before, document.tokens.size()) : std::nullopt;
    if (!marks) marks = reference.Mark(document.tokens, tokenizer.Prefix(), stop);
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
  scorer_.reset();
}

std::string ModelStages::FindNonFiniteWeight() {
  const std::string found = folder_->FindNonFinite();
  return found.empty() ? "" : path_ + ": " + found + " is not finite";
}

}  // namespace longrope
