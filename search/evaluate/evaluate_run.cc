#include "search/evaluate/evaluate_run.h"

#include <algorithm>
#include <chrono>
#include <cmath>
#include <sstream>
#include <utility>

#include "eval/backend.h"
#include "eval/errors.h"
#include "eval/external/worker_team.h"
#include "eval/number_text.h"
#include "eval/protocols/passkey.h"
#include "eval/protocols/sliding_window.h"
#include "eval/storage/digest.h"
#include "search/job/job_file.h"
#include "search/job/model_options.h"
#include "search/job/stage_documents.h"
#include "search/passkey_draws.h"

namespace longrope {
namespace {

constexpr std::string_view kScores = "scores.csv", kMeasurements = "measurements.csv",
                           kTexts = "texts.txt", kTextFile = "table.txt";
constexpr int64_t kMaxRecord = 1 << 20;
constexpr const char* kStartMethods[] = {"pi", "ntk"};  // of finding 2 of the paper

std::string ValueOf(const Measurement& one) {
  return NumberText(one.score.nats) + " " + std::to_string(one.score.tokens) + " " +
         (one.right ? "1" : "0") + " " + NumberText(one.depth);
}
std::optional<Measurement> ParseValue(const std::string& text) {
  std::istringstream words(text);
  std::string nats, depth;
  Measurement one;
  if (!(words >> nats >> one.score.tokens >> one.right >> depth)) return std::nullopt;
  one.score.nats = std::strtod(nats.c_str(), nullptr);
  one.depth = std::strtod(depth.c_str(), nullptr);
  return one;
}

std::string FactorsText(const RopeFactors& factors) {
  std::string text =
      std::to_string(factors.start_tokens) + " " + NumberText(factors.attention_factor);
  for (float lambda : factors.lambda) text += " " + FloatText(lambda);
  return text;
}

}  // namespace

EvaluateRun::EvaluateRun(const StageSources& sources, const StageOptions& stage,
                         const Folder& folder, StageEvaluators& evaluators, RunObserver& observer)
    : sources_(sources),
      stage_(stage),
      folder_(folder),
      evaluators_(evaluators),
      observer_(observer) {
  CheckStageFile(folder_, StageJob(sources_.job(), stage_));
}

bool EvaluateRun::IsDone() { return folder_.Has(kStageFile) && folder_.Has(kEvaluationFile); }

bool EvaluateRun::Asks(const std::string& protocol) const {
  const auto& protocols = stage_.evaluate.protocols;
  return std::ranges::find(protocols, protocol) != protocols.end();
}

int64_t EvaluateRun::SlidingTokens() const {
  return stage_.evaluate.sliding_tokens.value_or(stage_.lengths.back());
}

int64_t EvaluateRun::Longest() const {
  return std::max(stage_.lengths.back(), Asks("sliding") ? SlidingTokens() : 0);
}

bool EvaluateRun::Prepare(std::stop_token stop) {
  if (stop.stop_requested()) return false;
  OpenTexts(stop);
  std::string texts;
  for (const Document& document : facts_.documents) {
    texts += document.digest + " " + document.title + "\n";
  }
  if (folder_.Has(kTexts) && ReadFile(folder_.File(kTexts), kMaxRecord) != texts) {
    throw InputError(
        folder_.File(kTexts).string() + ": stage " + stage_.name +
        " began with other texts; allowed: those it began with (or set it aside with " +
        sources_.ResumeFrom(stage_.name) + ")");
  }
  folder_.Replace(kTexts, texts);
  folder_.Replace(kStageFile, JobIdentity(StageJob(sources_.job(), stage_)));
  return true;
}

void EvaluateRun::PlanCells() {
  for (const std::string& text : stage_.evaluate.rows) {
    rows_.push_back(RowOf(text, sources_, stage_, evaluators_));
  }
  const auto add = [&](const std::string& protocol, const EvaluationRow& row, int64_t length) {
    cells_.push_back({protocol, row.label, row.model, length, -1, {}, row.For(length)});
  };
  for (const std::string& protocol : stage_.evaluate.protocols) {
    if (protocol == "start-tokens") {
      for (const char* method : kStartMethods) {
        const EvaluationRow row = RowOf(method, sources_, stage_, evaluators_);
        for (int64_t start : stage_.start_tokens) {
          for (int64_t length : stage_.lengths) {
            add(protocol, row, length);
            cells_.back().start_tokens = cells_.back().factors.start_tokens = start;
          }
        }
      }
      continue;
    }
    for (const EvaluationRow& row : rows_) {
      for (int64_t length : stage_.lengths) add(protocol, row, length);
    }
  }
}

void EvaluateRun::Bind(const std::string& name, const std::string& path) {
  if (bound_.path == path) return;
  bound_ = {};
  const Job& job = sources_.job();
  bound_.path = path;
  if (WorkerTeam* workers = evaluators_.Workers()) {
    for (const auto& [part, value] : workers->Greet({})->fingerprint) {
      bound_.text += part + "\n" + value + "\n";
    }
    facts_.models.emplace_back(name, Sha256Hex(bound_.text));
    return;
  }
  bound_.source = OpenModel(path, OverridesOf(job.model));
  StageOptions longest = stage_;
  longest.length = stage_.lengths.back();  // no pass is longer
  // Within the window it masks nothing, and factors are applied beyond it.
  const int64_t sliding = bound_.source->config().shape.sliding_window;
  bound_.scorer = std::make_unique<Scorer>(
      *engine_, *bound_.source, ScorerOptionsOf(job, longest, sliding >= longest.length));
  const std::string digest = bound_.source->Digest();
  bound_.text = digest + "\n" + std::string(engine_->name()) + "\n" +
                std::string(engine_->build()) + "\n" +
                std::to_string(bound_.scorer->sliding_window());
  facts_.models.emplace_back(name, digest);
}

void EvaluateRun::OpenTexts(std::stop_token stop) {
  const Job& job = sources_.job();
  int64_t vocab = 0;
  if (WorkerTeam* workers = evaluators_.Workers()) {
    const WorkerHello& hello = *workers->Greet({});
    vocab = hello.vocab;
    facts_.engine = hello.worker;
  } else {
    engine_ = MakeEngine(BackendOptionsOf(
        job.backend, [this](const std::string& line) { observer_.OnMessage(line); }));
    vocab = ModelConfigOf(job.model.path, OverridesOf(job.model)).shape.vocab;
    facts_.engine = engine_->name();
  }
  if (Asks("passkey")) tokenizer_ = OpenTokenizer(job.model.path, vocab);
  JobTexts texts(job, ListenerOf(observer_));
  StageOptions draw = stage_;
  draw.length = Longest();
  facts_.documents = DrawStageDocuments(job, draw, texts.Open(vocab, std::move(stop)));
}

StageEnd EvaluateRun::Run(std::stop_token stop) {
  for (const Document& document : facts_.documents) {
    observer_.OnMessage("stage " + stage_.name + ": document " + DocumentText(document));
  }
  cache_.emplace(folder_.files(), folder_.File(kScores));
  PlanCells();
  // Model by model: two copies of the weights might not fit.
  std::vector<std::string> models;
  for (const EvaluationCell& cell : cells_) {
    if (std::ranges::find(models, cell.model) == models.end()) models.push_back(cell.model);
  }
  size_t measured = 0;
  for (const std::string& model : models) {
    Bind(model, sources_.ModelPath(model));
    for (EvaluationCell& cell : cells_) {
      if (cell.model != model) continue;
      if (!Measure(&cell, stop)) return StageEnd::kStopped;
      observer_.OnMessage("stage " + stage_.name + ": " + std::to_string(++measured) + " of " +
                          std::to_string(cells_.size()) + ", " + cell.protocol + " of " + cell.row +
                          (cell.start_tokens < 0 ? "" : " n=" + std::to_string(cell.start_tokens)) +
                          " at " + std::to_string(cell.length) + " tokens");
    }
  }
  SaveResults();
  return StageEnd::kDone;
}

std::string EvaluateRun::Report() const { return EvaluationTextIn(folder_); }

std::string EvaluationTextIn(const Folder& folder) {
  return folder.Has(kTextFile) ? ReadFile(folder.File(kTextFile), kMaxRecord) : "";
}

size_t EvaluateRun::CountOf(const EvaluationCell& cell) const {
  return cell.protocol == "passkey" ? static_cast<size_t>(stage_.evaluate.tries)
                                    : facts_.documents.size();
}

std::string EvaluateRun::KeyOf(const EvaluationCell& cell, size_t index) const {
  std::string text = cell.protocol + "\n" + bound_.text + "\n" + std::to_string(cell.length) +
                     "\n" + FactorsText(cell.factors) + "\n";
  if (cell.protocol == "sliding") {
    text += std::to_string(stage_.evaluate.stride) + " " + std::to_string(SlidingTokens()) + "\n";
  }
  if (cell.protocol == "passkey") {
    text += std::to_string(sources_.job().seed) + " " + std::to_string(index);
  } else {
    text += facts_.documents[index].digest;
  }
  return Sha256Hex(text);
}

bool EvaluateRun::MeasureByWorkers(const EvaluationCell& cell, std::stop_token stop) {
  std::vector<Task> tasks;
  for (size_t i = 0; i < facts_.documents.size(); ++i) {
    if (cache_->Find(KeyOf(cell, i)) != nullptr) continue;
    tasks.push_back({&cell - cells_.data(), static_cast<int>(i), cell.factors});
  }
  if (tasks.empty()) return true;
  std::vector<Document> documents = facts_.documents;
  for (Document& document : documents) document.tokens.resize(static_cast<size_t>(cell.length));
  WorkerTeam& workers = *evaluators_.Workers();
  workers.Share(std::move(documents));
  size_t scored = 0;
  auto before = std::chrono::steady_clock::now();
  workers.Run(
      tasks,
      [&](const Task& task, const Score& score) {
        const auto now = std::chrono::steady_clock::now();
        const std::chrono::duration<double> took = now - std::exchange(before, now);
        const auto index = static_cast<size_t>(task.document);
        folder_.Append(kTimesFile, TimeLine(stage_.name, task.candidate, index, took.count()));
        cache_->Add(KeyOf(cell, index), ValueOf({score}));
        ++scored;
      },
      std::move(stop));
  return scored == tasks.size();
}

bool EvaluateRun::Measure(EvaluationCell* cell, std::stop_token stop) {
  if (evaluators_.Workers() != nullptr && !MeasureByWorkers(*cell, stop)) return false;
  for (size_t i = 0; i < CountOf(*cell); ++i) {
    const std::string key = KeyOf(*cell, i);
    const std::string* before = cache_->Find(key);
    auto one = before != nullptr ? ParseValue(*before) : std::nullopt;
    if (!one) {
      const auto began = std::chrono::steady_clock::now();
      one = MeasureOne(*cell, i, stop);
      if (!one) return false;
      const std::chrono::duration<double> took = std::chrono::steady_clock::now() - began;
      folder_.Append(kTimesFile, TimeLine(stage_.name, cell - cells_.data(), i, took.count()));
      cache_->Add(key, ValueOf(*one));
    }
    cell->measured.push_back(*one);
  }
  const bool failed = std::ranges::any_of(
      cell->measured, [](const Measurement& one) { return !std::isfinite(one.score.nats); });
  const std::string weight = failed && bound_.source ? bound_.source->FindNonFinite() : "";
  if (!weight.empty()) throw InputError(bound_.path + ": " + weight + " is not finite");
  return true;
}

std::optional<Measurement> EvaluateRun::MeasureSliding(const EvaluationCell& cell, size_t index,
                                                       std::stop_token stop) const {
  const auto document =
      std::span(facts_.documents[index].tokens).first(static_cast<size_t>(SlidingTokens()));
  const auto score =
      ScoreInWindows(document, {cell.length, stage_.evaluate.stride},
                     [&](std::span<const int32_t> tokens, std::span<const uint8_t> scored) {
                       return bound_.scorer->ScoreTokens(tokens, cell.factors, stop, scored);
                     });
  if (!score) return std::nullopt;
  return Measurement{*score};
}

std::optional<Measurement> EvaluateRun::MeasurePasskey(const EvaluationCell& cell, size_t index,
                                                       std::stop_token stop) const {
  const auto seed = static_cast<uint64_t>(sources_.job().seed);
  const PasskeyDraw draw = DrawPasskeys(seed, cell.length, stage_.evaluate.tries)[index];
  const auto result =
      TryPasskey(MakePasskeyPrompt(*tokenizer_, cell.length, draw),
                 [&](std::span<const int32_t> tokens, std::span<const uint8_t> scored) {
                   return bound_.scorer->ScoreEachToken(tokens, cell.factors, stop, scored);
                 });
  if (!result) return std::nullopt;
  return Measurement{{result->nats, result->tokens}, result->right, result->depth};
}

std::optional<Measurement> EvaluateRun::MeasureOne(const EvaluationCell& cell, size_t index,
                                                   std::stop_token stop) const {
  if (cell.protocol == "sliding") return MeasureSliding(cell, index, std::move(stop));
  if (cell.protocol == "passkey") return MeasurePasskey(cell, index, std::move(stop));
  const auto tokens =
      std::span(facts_.documents[index].tokens).first(static_cast<size_t>(cell.length));
  const auto score = bound_.scorer->ScoreTokens(tokens, cell.factors, std::move(stop));
  if (!score) return std::nullopt;
  return Measurement{*score};
}

void EvaluateRun::SaveResults() {
  const auto seed = static_cast<uint64_t>(sources_.job().seed);
  folder_.Replace(kMeasurements, MeasurementsCsv(cells_, facts_.documents));
  folder_.Replace(kTableFile, EvaluationCsv(stage_, cells_, seed));
  folder_.Replace(kTextFile, EvaluationText(stage_, cells_, seed));
  folder_.Replace(kEvaluationFile, EvaluationJson(stage_, cells_, facts_, seed));
}

}  // namespace longrope
