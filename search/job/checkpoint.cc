#include "search/job/checkpoint.h"

#include <algorithm>
#include <sstream>

#include "eval/storage/files.h"
#include "eval/storage/hdf5_file.h"
#include "eval/storage/sealed_file.h"
#include "search/job/job_file.h"
#include "search/job/run_folder.h"
#include "search/job/suggest.h"

namespace longrope {
namespace {

constexpr uint32_t kVersion = 3;
constexpr int64_t kMaxBytes = int64_t{1} << 32;

// Columns of a table of scores.
struct ScoreColumns {
  std::vector<double> nats;
  std::vector<int64_t> tokens;

  void Add(const Scores& scores) {
    for (const auto& score : scores) {
      nats.push_back(score ? score->nats : 0);
      tokens.push_back(score ? score->tokens : 0);
    }
  }
  void Write(Hdf5Writer& file, const std::string& path, size_t rows) const {
    file.Write(path + "nats", nats, static_cast<int64_t>(rows));
    file.Write(path + "tokens", tokens, static_cast<int64_t>(rows));
  }
  Scores Row(size_t row, size_t width) const {
    Scores scores(width);
    for (size_t i = 0; i < width; ++i) {
      const size_t at = row * width + i;
      if (tokens[at] > 0) scores[i] = Score{nats[at], tokens[at]};
    }
    return scores;
  }
};

// Names and values of fingerprints stand in lines; titles of documents, which come from file names,
// may hold line ends.
std::string Escaped(const std::string& text) {
  std::string line;
  for (char c : text) line += c == '\\' ? "\\\\" : c == '\n' ? "\\n" : std::string(1, c);
  return line;
}
std::string Unescaped(const std::string& line) {
  std::string text;
  for (size_t i = 0; i < line.size(); ++i) {
    const bool escaped = line[i] == '\\' && i + 1 < line.size();
    if (escaped) ++i;
    text += escaped && line[i] == 'n' ? '\n' : line[i];
  }
  return text;
}

const std::string kStage = "/stage/", kModel = "/model/";

void WriteCandidates(Hdf5Writer& file, const StageState& stage) {
  const auto& candidates = stage.population.candidates();
  std::vector<int64_t> generation, origin, parents, steps, start, attention, stopped;
  ScoreColumns scores;
  for (const Candidate& c : candidates) {
    generation.push_back(c.generation);
    origin.push_back(static_cast<int64_t>(c.origin));
    parents.insert(parents.end(), c.parents.begin(), c.parents.end());
    steps.insert(steps.end(), c.genome.steps.begin(), c.genome.steps.end());
    start.push_back(c.genome.start_index);
    attention.push_back(c.genome.attention_step);
    stopped.push_back(static_cast<int64_t>(c.stopped));
    scores.Add(c.scores);
  }
  const std::string& path = kStage;
  const auto rows = static_cast<int64_t>(candidates.size());
  file.Write(path + "generation", generation);
  file.Write(path + "origin", origin);
  file.Write(path + "parents", parents, rows);
  file.Write(path + "steps", steps, rows);
  file.Write(path + "start_index", start);
  file.Write(path + "attention_step", attention);
  file.Write(path + "stopped", stopped);
  scores.Write(file, path, candidates.size());
}

void WriteBaselines(Hdf5Writer& file, const StageState& stage) {
  std::string methods;
  std::vector<double> lambda, attention;
  std::vector<int64_t> start;
  ScoreColumns scores;
  for (const BaselineState& b : stage.baselines) {
    methods += b.baseline.method + " " + b.baseline.attention + "\n";
    lambda.insert(lambda.end(), b.baseline.factors.lambda.begin(), b.baseline.factors.lambda.end());
    attention.push_back(b.baseline.factors.attention_factor);
    start.push_back(b.baseline.factors.start_tokens);
    scores.Add(b.scores);
  }
  const std::string path = kStage + "baselines/";
  file.Write(path + "methods", methods);
  file.Write(path + "lambda", lambda, static_cast<int64_t>(stage.baselines.size()));
  file.Write(path + "attention_factor", attention);
  file.Write(path + "start_tokens", start);
  scores.Write(file, path, stage.baselines.size());
}

class StageReader {
 public:
  StageReader(const Hdf5Reader& file, const std::string& name, const StageOptions& options)
      : file_(file), name_(name), path_(kStage), state_(options) {
    documents_ = static_cast<size_t>(options.documents + options.held_out);
  }

  StageState Read() {
    std::istringstream lines(file_.Text(path_ + "fingerprint"));
    for (std::string line; std::getline(lines, line);) {
      const size_t tab = line.find('\t');
      if (tab == std::string::npos) Refuse("fingerprint");
      state_.fingerprint.emplace_back(line.substr(0, tab), Unescaped(line.substr(tab + 1)));
    }
    ReadCandidates();
    ReadBaselines();
    return std::move(state_);
  }

 private:
  [[noreturn]] void Refuse(const std::string& what) const {
    throw InputError(name_ + ": " + path_ + what + " does not fit the job");
  }
  std::vector<int64_t> Integers(const std::string& dataset, size_t count) const {
    std::vector<int64_t> values = file_.Integers(path_ + dataset);
    if (values.size() != count) Refuse(dataset);
    return values;
  }
  ScoreColumns ReadScores(const std::string& path, size_t rows) const {
    ScoreColumns scores{file_.Doubles(path_ + path + "nats"),
                        Integers(path + "tokens", rows * documents_)};
    if (scores.nats.size() != scores.tokens.size()) Refuse(path + "nats");
    return scores;
  }

  void ReadCandidates() {
    const auto generation = file_.Integers(path_ + "generation");
    const size_t rows = generation.size();
    const auto origin = Integers("origin", rows), parents = Integers("parents", 2 * rows);
    const auto start = Integers("start_index", rows);
    const auto attention = Integers("attention_step", rows);
    const auto stopped = Integers("stopped", rows);
    const auto steps = file_.Integers(path_ + "steps");
    if (rows > 0 && steps.size() % rows != 0) Refuse("steps");
    const size_t pairs = rows > 0 ? steps.size() / rows : 0;
    const ScoreColumns scores = ReadScores("", rows);
    for (size_t row = 0; row < rows; ++row) {
      Genome genome;
      for (size_t i = 0; i < pairs; ++i) {
        genome.steps.push_back(static_cast<int32_t>(steps[row * pairs + i]));
      }
      genome.start_index = static_cast<int32_t>(start[row]);
      genome.attention_step = static_cast<int32_t>(attention[row]);
      if (origin[row] < 0 || origin[row] >= kOrigins) Refuse("origin");
      if (!state_.population.Add(static_cast<int>(generation[row]),
                                 static_cast<Origin>(origin[row]),
                                 {parents[2 * row], parents[2 * row + 1]}, std::move(genome))) {
        Refuse("steps");
      }
      if (stopped[row] < 0 || stopped[row] >= kStopReasons) Refuse("stopped");
      state_.population.Stop(static_cast<int64_t>(row), static_cast<StopReason>(stopped[row]));
      const Scores row_scores = scores.Row(row, documents_);
      for (size_t i = 0; i < documents_; ++i) {
        if (row_scores[i]) {
          state_.population.SetScore(static_cast<int64_t>(row), static_cast<int>(i),
                                     *row_scores[i]);
        }
      }
    }
  }

  void ReadBaselines() {
    std::istringstream methods(file_.Text(path_ + "baselines/methods"));
    const auto attention = file_.Doubles(path_ + "baselines/attention_factor");
    const auto lambda = file_.Doubles(path_ + "baselines/lambda");
    const size_t rows = attention.size();
    const auto start = Integers("baselines/start_tokens", rows);
    const ScoreColumns scores = ReadScores("baselines/", rows);
    const size_t pairs = rows > 0 ? lambda.size() / rows : 0;
    for (size_t row = 0; row < rows; ++row) {
      Baseline baseline;
      if (!(methods >> baseline.method >> baseline.attention)) Refuse("baselines/methods");
      for (size_t i = 0; i < pairs; ++i) {
        baseline.factors.lambda.push_back(static_cast<float>(lambda[row * pairs + i]));
      }
      baseline.factors.attention_factor = attention[row];
      baseline.factors.start_tokens = start[row];
      state_.baselines.push_back({std::move(baseline), scores.Row(row, documents_)});
    }
  }

  const Hdf5Reader& file_;
  const std::string& name_;
  std::string path_;
  StageState state_;
  size_t documents_;
};

void WriteModel(Hdf5Writer& file, const StageModel& model) {
  const double shape[] = {static_cast<double>(model.shape.head_dim), model.shape.base,
                          static_cast<double>(model.shape.original_length)};
  file.Write(kModel + "rope_shape", shape);
  if (!model.given) return;
  const RopeFactors& factors = model.given->factors;
  file.Write(kModel + "lambda", std::vector<double>(factors.lambda.begin(), factors.lambda.end()));
  file.Write(kModel + "attention_factor", std::vector{factors.attention_factor});
  file.Write(kModel + "tokens", std::vector{factors.start_tokens, model.given->length});
}

StageModel ReadModel(const Hdf5Reader& file, const std::string& name) {
  const auto shape = file.Doubles(kModel + "rope_shape");
  StageModel model;
  if (shape.size() == 3) {
    model.shape = {static_cast<int>(shape[0]), shape[1], static_cast<int64_t>(shape[2])};
  }
  bool whole = shape.size() == 3;
  if (file.Has(kModel + "lambda")) {
    const auto lambda = file.Doubles(kModel + "lambda");
    const auto attention = file.Doubles(kModel + "attention_factor");
    const auto tokens = file.Integers(kModel + "tokens");
    whole = whole && attention.size() == 1 && tokens.size() == 2;
    if (whole) {
      model.given = {tokens[1], {{lambda.begin(), lambda.end()}, tokens[0], attention[0]}};
    }
  }
  if (!whole) throw InputError(name + ": " + kModel + " has datasets of unexpected length");
  return model;
}

}  // namespace

std::string WriteCheckpoint(const StageRecord& record) {
  Hdf5Writer file;
  file.Write("/job", record.identity);
  WriteModel(file, record.model);
  std::string lines;
  for (const auto& [key, value] : record.state.fingerprint) {
    lines += key + "\t" + Escaped(value) + "\n";
  }
  file.Write(kStage + "fingerprint", lines);
  WriteCandidates(file, record.state);
  WriteBaselines(file, record.state);
  return Seal(file.Finish(), kVersion);
}

StageRecord ReadCheckpoint(std::string bytes, const std::string& name, const Job& job) {
  std::string content;
  try {
    content = Unseal(std::move(bytes), kVersion, name);
  } catch (const InputError& error) {
    throw DamagedCheckpoint(error.what());
  }
  const Hdf5Reader file(std::move(content), name);
  std::string identity = file.Text("/job");
  CheckIdentity(identity, job, name);
  StageModel model = ReadModel(file, name);
  return {std::move(identity), std::move(model),
          StageReader(file, name, job.stages.front()).Read()};
}

std::optional<LoadedCheckpoint> LoadNewestCheckpoint(
    const std::filesystem::path& folder, const Job& job,
    const std::function<void(const std::string&)>& warn) {
  bool damaged = false;
  for (std::string_view name : {kCheckpointFile, kPreviousCheckpointFile}) {
    const auto path = folder / name;
    if (!std::filesystem::exists(path)) continue;
    try {
      return LoadedCheckpoint{ReadCheckpoint(ReadFile(path, kMaxBytes), path.string(), job),
                              damaged};
    } catch (const DamagedCheckpoint& error) {
      if (name == kPreviousCheckpointFile) throw;
      warn(std::string(error.what()) + "; trying the checkpoint before it");
      damaged = true;
    }
  }
  if (damaged) {
    throw DamagedCheckpoint((folder / kCheckpointFile).string() +
                            ": is damaged, and there is no checkpoint before it");
  }
  return std::nullopt;
}

}  // namespace longrope
