#include "search/finetune/finetune_run.h"

#include <chrono>
#include <cmath>
#include <utility>

#include "eval/errors.h"
#include "eval/storage/digest.h"
#include "eval/text/corpus.h"
#include "search/factors/hugging_face.h"
#include "search/finetune/command.h"
#include "search/job/factors_name.h"
#include "search/job/job_file.h"
#include "search/job/model_options.h"
#include "search/job/stage_check.h"
#include "search/job/stage_documents.h"

namespace longrope {
namespace fs = std::filesystem;
namespace {

constexpr std::string_view kInput = "input", kOutput = "output", kInputRecord = "input.json",
                           kTrainedRecord = "trained.json", kDoneRecord = "done.json",
                           kTokens = "tokens.u32";
constexpr int64_t kMaxRecord = 1 << 20;
constexpr auto kQuiet = std::chrono::seconds(10);  // between two lines of a command that are shown

// What of a config must come back as it was; "" if all did.
std::string DifferenceOf(const ModelConfig& before, const ModelConfig& after) {
  const ModelShape &a = before.shape, &b = after.shape;
  if (before.family != after.family) return "model_type";
  if (a.layers != b.layers) return "num_hidden_layers";
  if (a.hidden != b.hidden) return "hidden_size";
  if (a.heads != b.heads || a.kv_heads != b.kv_heads || a.head_dim != b.head_dim) return "heads";
  if (a.ffn != b.ffn) return "intermediate_size";
  if (a.vocab != b.vocab) return "vocab_size";
  if (a.norm_epsilon != b.norm_epsilon) return "rms_norm_eps";
  if (before.tied_head != after.tied_head) return "tie_word_embeddings";
  if (before.rope_base != after.rope_base) return "rope_theta";
  if (before.original_length != after.original_length) return "original_max_position_embeddings";
  if (!after.own_factors || before.own_factors->set.buckets != after.own_factors->set.buckets) {
    return "rope_scaling (the factors that it was trained with)";
  }
  return "";
}

void AppendIds(const std::vector<int32_t>& ids, std::string* bytes) {
  for (int32_t id : ids) {
    const auto value = static_cast<uint32_t>(id);
    for (int shift = 0; shift < 32; shift += 8) *bytes += static_cast<char>(value >> shift & 0xff);
  }
}

}  // namespace

fs::path FinetunedModel(const Folder& folder, const StageOptions& stage) {
  return folder.Sub("leg-" + std::to_string(stage.finetune.factors.size())).File(kOutput);
}

std::vector<FinetuneLeg> LegsOf(const Folder& folder, const StageOptions& stage) {
  std::vector<FinetuneLeg> legs;
  for (size_t i = 1; i <= stage.finetune.factors.size(); ++i) {
    const Folder leg = folder.Sub("leg-" + std::to_string(i));
    const fs::path output = leg.File(kOutput);
    legs.push_back({leg.File(kInput), output, leg.File(kLogFile), leg.Has(kInputRecord),
                    leg.Has(kDoneRecord) && fs::exists(output / "config.json")});
  }
  return legs;
}

FinetuneRun::FinetuneRun(const StageSources& sources, const StageOptions& stage,
                         const Folder& folder, RunObserver& observer)
    : sources_(sources), stage_(stage), folder_(folder), observer_(observer) {
  CheckStageFile(folder_, StageJob(sources_.job(), stage_));
}

bool FinetuneRun::LegIsDone(int number) const {
  return LegsOf(folder_, stage_)[static_cast<size_t>(number) - 1].done;
}

bool FinetuneRun::IsDone() {
  for (int number = 1; number <= Legs(); ++number) {
    if (!LegIsDone(number)) return false;
  }
  return folder_.Has(kStageFile) && folder_.Has(kFactorsFile);
}

FactorFile FinetuneRun::FactorsOf(const std::string& name, const ModelConfig& config) const {
  const FactorsName parsed = ParseFactorsName(name, "factors");
  FactorFile file;
  if (parsed.method) {
    const StageModel model = StageModelOf(config);
    CheckReaches(stage_, name, parsed.target, model);
    const FactorBucket before = model.given.value_or(FactorBucket{
        model.shape.original_length, MethodFactors(RopeMethod::kNone, model.shape, 1, 0)});
    file.buckets = {{parsed.target,
                     MethodFactorsAfter(*parsed.method, model.shape, before, parsed.target,
                                        parsed.target, stage_.yarn),
                     ""}};
  } else {
    file.buckets = {sources_.FactorsOf(parsed.stage).Longest()};
  }
  file.original_length = config.OriginalLength();
  file.rope_base = config.rope_base;
  file.head_dim = config.shape.head_dim;
  return file;
}

FinetuneRun::Leg FinetuneRun::LegOf(int number) const {
  const ConfigOverrides overrides = OverridesOf(sources_.job().model);
  const std::string first = sources_.ModelPath(stage_.model);
  const std::string model = number == 1 ? first : LegFolder(number - 1).File(kOutput).string();
  return {number, LegFolder(number), model,
          FactorsOf(stage_.finetune.factors[static_cast<size_t>(number) - 1],
                    ReadModelConfig(first, overrides))};
}

std::string FinetuneRun::Title(const Leg& leg) const {
  return "stage " + stage_.name + ", leg " + std::to_string(leg.number);
}

std::string FinetuneRun::InputRecord(const Leg& leg) const {
  const ModelFolder model(leg.model, OverridesOf(sources_.job().model));
  nlohmann::ordered_json record;
  record["model"] = model.Digest();
  record["factors"] = Sha256Hex(WriteFactorFile(leg.factors));
  return record.dump(2) + "\n";
}

void FinetuneRun::CheckInput(const Leg& leg) const {
  if (!leg.folder.Has(kInputRecord)) return;
  if (ReadFile(leg.folder.File(kInputRecord), kMaxRecord) == InputRecord(leg)) return;
  throw InputError(leg.folder.File(kInputRecord).string() +
                   ": the leg began with another model or other factors; allowed: those (or set "
                   "the stage aside with " +
                   sources_.ResumeFrom(stage_.name) + ")");
}

void FinetuneRun::CheckDone(const Leg& leg) const {
  const JsonObject record = ReadJsonObject(leg.folder.File(kDoneRecord), kMaxRecord);
  const fs::path output = leg.folder.File(kOutput);
  const ModelFolder model(output, OverridesOf(sources_.job().model));
  if (record.Text("model").value_or("") == model.Digest()) return;
  throw InputError(output.string() +
                   ": is not what the leg ended in; allowed: that (or set the stage aside with " +
                   sources_.ResumeFrom(stage_.name) + ")");
}

bool FinetuneRun::Prepare(std::stop_token stop) {
  for (int number = 1; number <= Legs(); ++number) {
    if (stop.stop_requested()) return false;
    CheckInput(LegOf(number));
    if (!LegIsDone(number)) break;
    if (number == Legs()) CheckDone(LegOf(number));
  }
  folder_.Replace(kStageFile, JobIdentity(StageJob(sources_.job(), stage_)));
  return true;
}

void FinetuneRun::MakeInput(const Leg& leg) const {
  leg.folder.Make();
  if (leg.folder.Has(kInputRecord) && leg.folder.Has(kInput)) return;
  // What a process that was killed left: a copy that nothing vouches for, or half of one.
  std::vector<fs::path> left;
  for (const auto& entry : fs::directory_iterator(leg.folder.path())) {
    if (entry.path().filename().string().starts_with(kInput) && entry.is_directory()) {
      left.push_back(entry.path());
    }
  }
  for (const fs::path& path : left) fs::remove_all(path);
  const ConfigOverrides overrides = OverridesOf(sources_.job().model);
  const std::string family = ReadModelConfig(leg.model, overrides).family;
  const auto fragment = HuggingFaceFragment(leg.factors, Title(leg), ShortFactors::kSame, family);
  ExportModelFolder(leg.folder.files(), leg.model, leg.folder.File(kInput), fragment,
                    leg.factors.Longest().factors);
  leg.folder.Replace(kFactorsFile, WriteFactorFile(leg.factors));
  leg.folder.Replace(kInputRecord, InputRecord(leg));
}

std::optional<std::string> FinetuneRun::TokensFile(std::stop_token stop) const {
  const Job& job = sources_.job();
  const std::string path = folder_.File(kTokens).string();
  if (folder_.Has(kTokens)) return path;
  const ModelConfig config = ReadModelConfig(job.model.path, OverridesOf(job.model));
  const auto tokenizer = OpenTokenizer(job.model.path, config.shape.vocab);
  observer_.OnMessage("stage " + stage_.name + ": tokenizes the texts of " + TrainPath(job.data));
  std::string bytes;
  const bool all = ForTrainTexts(job.data, [&](const std::string& text) {
    AppendIds(tokenizer->Encode(text), &bytes);
    return !stop.stop_requested();
  });
  if (!all) return std::nullopt;
  folder_.Replace(kTokens, bytes);
  observer_.OnMessage("stage " + stage_.name + ": " + std::to_string(bytes.size() / 4) +
                      " tokens to train on");
  return path;
}

StageEnd FinetuneRun::Run(std::stop_token stop) {
  for (int number = 1; number <= Legs(); ++number) {
    if (LegIsDone(number)) continue;
    if (stop.stop_requested()) return StageEnd::kStopped;
    const StageEnd end = RunLeg(LegOf(number), stop);
    if (end != StageEnd::kDone) return end;
  }
  folder_.Replace(kFactorsFile, WriteFactorFile(LegOf(Legs()).factors));
  observer_.OnMessage("stage " + stage_.name + ": the model is " +
                      FinetunedModel(folder_, stage_).string());
  return StageEnd::kDone;
}

StageEnd FinetuneRun::RunLeg(const Leg& leg, std::stop_token stop) const {
  MakeInput(leg);
  const auto at = static_cast<size_t>(leg.number) - 1;
  const bool there = fs::exists(leg.folder.File(kOutput) / "config.json");
  if (there && leg.folder.Has(kTrainedRecord)) {
    observer_.OnMessage(Title(leg) + ": trained before, " + leg.folder.File(kOutput).string() +
                        " is checked (remove it to train again)");
  } else if (!stage_.finetune.command.empty()) {
    const StageEnd end = Train(leg, std::move(stop));
    if (end != StageEnd::kDone) return end;
  } else if (!there) {
    observer_.OnMessage(Title(leg) + ": no command is given; train " +
                        leg.folder.File(kInput).string() + " for " +
                        std::to_string(stage_.finetune.steps[at]) + " steps on sequences of " +
                        std::to_string(stage_.lengths[at]) +
                        " tokens, put the checkpoint (a Hugging Face folder) at " +
                        leg.folder.File(kOutput).string() + ", then longrope resume " +
                        sources_.run().path().string());
    return StageEnd::kWaiting;
  }
  CheckOutput(leg);
  nlohmann::ordered_json record;
  record["model"] =
      ModelFolder(leg.folder.File(kOutput), OverridesOf(sources_.job().model)).Digest();
  leg.folder.Replace(kDoneRecord, record.dump(2) + "\n");
  return StageEnd::kDone;
}

StageEnd FinetuneRun::Train(const Leg& leg, std::stop_token stop) const {
  const auto at = static_cast<size_t>(leg.number) - 1;
  const bool tokens = stage_.finetune.Asks("{tokens}");
  const auto ids = tokens ? TokensFile(stop) : "";
  if (!ids || stop.stop_requested()) return StageEnd::kStopped;
  const std::string filled =
      FilledCommand(stage_.finetune.command, {{"model", leg.folder.File(kInput).string()},
                                              {"factors", leg.folder.File(kFactorsFile).string()},
                                              {"tokens", *ids},
                                              {"text", TrainPath(sources_.job().data)},
                                              {"length", std::to_string(stage_.lengths[at])},
                                              {"steps", std::to_string(stage_.finetune.steps[at])},
                                              {"output", leg.folder.File(kOutput).string()},
                                              {"seed", std::to_string(sources_.job().seed)},
                                              {"leg", std::to_string(leg.number)},
                                              {"stage", stage_.name}});
  const fs::path log = leg.folder.File(kLogFile);
  observer_.OnMessage(Title(leg) + ": " + filled);
  auto said = std::chrono::steady_clock::now() - kQuiet;
  const auto say = [&](const std::string& line) {
    const auto now = std::chrono::steady_clock::now();
    if (now - said < kQuiet) return;
    said = now;
    observer_.OnMessage(Title(leg) + ": " + line);
  };
  const auto began = std::chrono::steady_clock::now();
  const CommandEnd end = RunCommand(filled, log, say, std::move(stop));
  const std::chrono::duration<double> took = std::chrono::steady_clock::now() - began;
  folder_.Append(kTimesFile, TimeLine(stage_.name, leg.number, 0, took.count()));
  constexpr int kResumable = 75;  // EX_TEMPFAIL, as this program itself
  // Who was asked to stop may have saved half a training and called it done.
  if (end.stopped || end.exit_code == kResumable) return StageEnd::kStopped;
  if (end.exit_code == 0) {
    nlohmann::ordered_json record = {{"command", stage_.finetune.command}};
    if (tokens) record["tokens"] = Sha256Hex(ReadFile(folder_.File(kTokens), INT64_MAX));
    leg.folder.Replace(kTrainedRecord, record.dump(2) + "\n");
    return StageEnd::kDone;
  }
  throw InputError(
      Title(leg) + ": the command failed with exit code " + std::to_string(end.exit_code) + " (" +
      (end.last_line.empty() ? "it wrote nothing" : end.last_line) + "); its output is in " +
      log.string() + "; allowed: 0, or 75 to go on with resume");
}

void FinetuneRun::CheckOutput(const Leg& leg) const {
  const fs::path output = leg.folder.File(kOutput);
  const auto refuse = [&](const std::string& why) {
    throw InputError(Title(leg) + ": " + output.string() + ": " + why +
                     "; allowed: a Hugging Face folder of the model that was given, trained");
  };
  if (!fs::exists(output / "config.json")) refuse("no config.json is there");
  // What the job says over a config stands in this one, which was written for the leg: nothing must
  // hide what it lost.
  ConfigOverrides overrides;
  overrides.head_dim = sources_.job().model.head_dim;
  const ModelFolder before(leg.folder.File(kInput), overrides);
  const ModelFolder after(output, overrides);  // throws for shapes that the config does not say
  const std::string difference = DifferenceOf(before.config(), after.config());
  if (!difference.empty()) refuse("config.json came back with another " + difference);
  const std::string bad = after.FindNonFinite();
  if (!bad.empty()) refuse(bad + " is not finite: the training diverged");
  if (before.Digest() == after.Digest()) {
    observer_.OnWarning(Title(leg) + ": every weight came back as it was given");
  }
}

}  // namespace longrope
