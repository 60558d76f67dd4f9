#include "search/job/stage_reader.h"

#include <algorithm>
#include <functional>

#include "eval/errors.h"
#include "search/finetune/command.h"
#include "search/job/factors_name.h"
#include "search/job/folder.h"
#include "search/job/job_reader.h"
#include "search/job/stage_run.h"
#include "search/job/suggest.h"

namespace longrope {
namespace {

// Throws an InputError that says where the key stands.
using Refuse = std::function<void(const std::string& key, const std::string& why)>;

void RefuseUnsorted(const std::string& key, const std::vector<int64_t>& list,
                    const Refuse& refuse) {
  const bool sorted = std::ranges::adjacent_find(list, std::greater_equal{}) == list.end();
  if (!sorted) refuse(key, "must increase");
}

// What ranges of single keys cannot say of a search.
void CheckSearch(const StageOptions& stage, const Refuse& refuse) {
  const EvolutionOptions& evolution = stage.evolution;
  const int first = evolution.population + evolution.warm_start.evaluations;
  if (evolution.parents > first) {
    refuse("parents", std::to_string(evolution.parents) +
                          "; allowed: 1 to population + warm_evaluations (" +
                          std::to_string(first) + ")");
  }
  const OperatorRates& rates = evolution.rates;
  if (evolution.mutations > 0 && rates.sweep + rates.segment + rates.shift + rates.scalars <= 0) {
    refuse("rate_sweep",
           "one of rate_sweep, rate_segment, rate_shift and rate_scalars must be "
           "above 0 where there are mutations");
  }
  if (evolution.crossovers > 0 && rates.uniform + rates.blend + rates.prefix <= 0) {
    refuse("rate_uniform",
           "one of rate_uniform, rate_blend and rate_prefix must be above 0 where "
           "there are crossovers");
  }
  if (evolution.crossovers > 0 && evolution.parents < 2) {
    refuse("parents", "1; crossovers need at least 2");
  }
  if (evolution.generations > 0 && evolution.mutations + evolution.crossovers == 0) {
    refuse("mutations", "0, with crossovers 0: a generation would have no children");
  }
  if (stage.race_confidence && stage.documents < 3) {
    refuse("race_confidence", "a test needs documents: 3 or more");
  }
  if (!stage.key_model.empty() && stage.objective != "key") {
    refuse("key_model", "is read for objective: key only");
  }
  const size_t seeds = stage.seeds.size() + (stage.kind == "readjust" ? kReadjustSeeds : 0);
  if (static_cast<size_t>(evolution.population) < seeds) {
    refuse("population", std::to_string(evolution.population) + "; allowed: at least the " +
                             std::to_string(seeds) + " seeds");
  }
  RefuseUnsorted("start_tokens", stage.start_tokens, refuse);
  if (stage.kind == "readjust") RefuseUnsorted("lengths", stage.lengths, refuse);
  if (stage.runtime != "any" && stage.start_tokens != std::vector<int64_t>{0}) {
    refuse("start_tokens", "runtime " + stage.runtime + " has no place for them; allowed: [0]");
  }
  if (stage.yarn.beta_fast <= stage.yarn.beta_slow) {
    refuse("yarn_beta_fast", "must be above yarn_beta_slow");
  }
}

void CheckFinetune(const StageOptions& stage, const Refuse& refuse) {
  const size_t legs = stage.finetune.factors.size();
  if (stage.finetune.steps.size() != legs) {
    refuse("steps", "expected " + std::to_string(legs) + ", one for each of factors");
  }
  if (!stage.lengths.empty() && stage.lengths.size() != legs) {
    refuse("lengths", "expected " + std::to_string(legs) + ", one for each of factors");
  }
  const std::string unknown = UnknownPlaceholder(stage.finetune.command);
  if (!unknown.empty()) {
    refuse("command", "{" + unknown + "} is no placeholder; allowed: {" +
                          Joined(CommandPlaceholders()) + "}, in braces each");
  }
}

void CheckEvaluate(const StageOptions& stage, const Refuse& refuse) {
  const EvaluateOptions& evaluate = stage.evaluate;
  RefuseUnsorted("lengths", stage.lengths, refuse);
  RefuseUnsorted("start_tokens", stage.start_tokens, refuse);
  const bool slides = std::ranges::find(evaluate.protocols, "sliding") != evaluate.protocols.end();
  if (slides && evaluate.stride > stage.lengths.front()) {
    refuse("stride", std::to_string(evaluate.stride) +
                         "; allowed with protocol sliding: 1 to the smallest of lengths, " +
                         std::to_string(stage.lengths.front()));
  }
  if (slides && evaluate.sliding_tokens.value_or(INT64_MAX) < stage.lengths.back()) {
    refuse("sliding_tokens", std::to_string(*evaluate.sliding_tokens) +
                                 "; allowed: the largest of lengths, " +
                                 std::to_string(stage.lengths.back()) + ", or more");
  }
  if (std::ranges::find(evaluate.rows, evaluate.reference) == evaluate.rows.end()) {
    refuse("reference",
           "'" + evaluate.reference + "'; allowed: one of rows, " + Joined(evaluate.rows));
  }
}

// What a stage says of those before it.
class References {
 public:
  References(const std::vector<StageOptions>& before, const Refuse& refuse)
      : before_(before), refuse_(refuse) {}

  // States what is left to be said, refuses names of stages that are not there.
  void Resolve(StageOptions* stage) const {
    if (stage->kind == "readjust") ResolveExtends(stage);
    ResolveModel(stage);
    if (stage->kind == "finetune") ResolveLegs(stage);
    if (stage->kind == "evaluate") CheckRows(*stage);
    const auto& protocols = stage->evaluate.protocols;
    if (stage->model != kBaseModel &&
        std::ranges::find(protocols, "start-tokens") != protocols.end()) {
      refuse_("protocols", "start-tokens tries PI and NTK, and " + stage->model +
                               " carries factors of its own; allowed with it: model: base");
    }
  }

 private:
  const StageOptions* Named(const std::string& name) const {
    const auto found = std::ranges::find(before_, name, &StageOptions::name);
    return found == before_.end() ? nullptr : &*found;
  }
  // Names of the stages of some kinds.
  std::string NamesOf(const std::vector<std::string>& kinds) const {
    std::vector<std::string> names;
    for (const StageOptions& stage : before_) {
      if (std::ranges::find(kinds, stage.kind) != kinds.end()) names.push_back(stage.name);
    }
    return names.empty() ? "there is none" : Joined(names);
  }
  const StageOptions* Last(const std::string& kind) const {
    const auto found = std::find_if(before_.rbegin(), before_.rend(),
                                    [&](const StageOptions& s) { return s.kind == kind; });
    return found == before_.rend() ? nullptr : &*found;
  }

  void ResolveExtends(StageOptions* stage) const {
    if (stage->extends.empty()) {
      ResolveModel(stage);
      // The last search on that model; else what the model itself carries.
      for (const StageOptions& before : before_) {
        if (before.kind == "search" && before.model == stage->model) stage->extends = before.name;
      }
      return;
    }
    const StageOptions* extended = Named(stage->extends);
    if (extended == nullptr || extended->kind != "search") {
      refuse_("extends", "'" + stage->extends + "'; allowed: a search stage before it (" +
                             NamesOf({"search"}) + ")");
    }
    if (stage->model.empty()) stage->model = extended->model;
    if (stage->model != extended->model) {
      refuse_("model",
              "'" + stage->model + "'; " + extended->name + " was found on " + extended->model);
    }
  }

  void CheckModel(const std::string& key, const std::string& model) const {
    const StageOptions* stage = Named(model);
    if (model == kBaseModel || (stage != nullptr && stage->kind == "finetune")) return;
    refuse_(key, "'" + model + "'; allowed: " + kBaseModel + ", or a finetune stage before it (" +
                     NamesOf({"finetune"}) + ")");
  }
  void ResolveModel(StageOptions* stage) const {
    const StageOptions* tuned = Last("finetune");
    if (stage->model.empty()) stage->model = tuned == nullptr ? kBaseModel : tuned->name;
    CheckModel("model", stage->model);
  }

  void ResolveLegs(StageOptions* stage) const {
    std::vector<int64_t> lengths;
    for (const std::string& text : stage->finetune.factors) {
      const FactorsName name = ParseFactorsName(text, "factors");
      const StageOptions* search = Named(name.stage);
      const bool method = name.method && name.target > 0;
      if (!name.model.empty() || (!method && (search == nullptr || search->kind != "search"))) {
        refuse_("factors", "'" + text + "'; allowed: a search stage before it (" +
                               NamesOf({"search"}) + "), or METHOD@LENGTH");
      }
      lengths.push_back(method ? name.target : search->length);
    }
    if (stage->lengths.empty()) stage->lengths = lengths;
  }

  void CheckRows(const StageOptions& stage) const {
    for (const std::string& text : stage.evaluate.rows) {
      const FactorsName name = ParseFactorsName(text, "rows");
      if (!name.model.empty()) CheckModel("rows", name.model);
      if (name.method) continue;
      const StageOptions* source = Named(name.stage);
      if (source != nullptr && source->kind != "evaluate") continue;
      refuse_("rows", "'" + text + "'; allowed: a method (" + Joined(RopeMethodNames()) +
                          ", with @LENGTH behind it or not) or a stage before it (" +
                          NamesOf({"search", "finetune", "readjust"}) +
                          "), MODEL: before it or not");
    }
  }

  const std::vector<StageOptions>& before_;
  const Refuse& refuse_;
};

// Defaults depend on these keys, so they are read first.
StageOptions ReadDefaults(const YamlNode& node, const std::string& path) {
  StageOptions sketch;
  sketch.kind = kStageKinds[0];
  YamlNode deciding;
  deciding.kind = YamlNode::Kind::kMap;
  deciding.where = node.where;
  for (const char* key : {"kind", "length", "preset"}) {
    if (const YamlNode* value = node.Find(key)) deciding.members.emplace_back(key, *value);
  }
  MapReader first(deciding, path);
  first("kind", sketch.kind, KeyRole::kResult,
        OneOf({std::begin(kStageKinds), std::end(kStageKinds)}));
  if (sketch.kind == "search") {
    first("length", sketch.length, KeyRole::kResult, Range(kMinLength, kMaxLength));
  }
  first("preset", sketch.preset, KeyRole::kResult,
        OneOf({std::begin(kPresets), std::end(kPresets)}));
  return DefaultStage(sketch.length, sketch.preset, sketch.kind);
}

StageOptions ReadStage(const YamlNode& node, const std::vector<StageOptions>& before) {
  const YamlNode* name = node.Find("name");
  const std::string path =
      "stages." + (name != nullptr ? name->text : std::to_string(before.size() + 1)) + ".";
  StageOptions stage = ReadDefaults(node, path);
  MapReader reader(node, path);
  const YamlNode* runtime = node.Find("runtime");
  if (runtime != nullptr && !runtime->IsNull() && runtime->text != "any") stage.start_tokens = {0};
  Describe(reader, stage);
  reader.Finish();
  const Refuse refuse = [&](const std::string& key, const std::string& why) {
    const YamlNode* at = node.Find(key);
    throw InputError((at != nullptr ? at->where : node.where) + ": " + path + key + ": " + why);
  };
  const auto methods = RopeMethodNames();
  if (stage.name == kBaseModel || stage.name == kLockFile || stage.name.starts_with("aside-") ||
      std::ranges::find(methods, stage.name) != methods.end()) {
    refuse("name", "'" + stage.name + "' has a meaning of its own; allowed: another name");
  }
  if (std::ranges::find(before, stage.name, &StageOptions::name) != before.end()) {
    throw InputError(node.where + ": stages: two are named " + stage.name);
  }
  if (stage.kind == "finetune") CheckFinetune(stage, refuse);
  if (stage.kind == "evaluate") {
    if (stage.evaluate.reference.empty()) stage.evaluate.reference = stage.evaluate.rows.front();
    CheckEvaluate(stage, refuse);
  }
  if (stage.Searches()) CheckSearch(stage, refuse);
  References(before, refuse).Resolve(&stage);
  return stage;
}

}  // namespace

std::vector<StageOptions> ReadStages(const YamlNode& job) {
  const YamlNode* list = job.Find("stages");
  if (list == nullptr || list->kind != YamlNode::Kind::kList || list->items.empty()) {
    throw InputError((list != nullptr ? list->where : job.where) +
                     ": stages: expected a list of at least one stage, each with name, kind and "
                     "length");
  }
  std::vector<StageOptions> stages;
  std::vector<std::string> searches;  // names of streams, rows and folders
  for (const YamlNode& node : list->items) {
    stages.push_back(ReadStage(node, stages));
    for (const StageOptions& search : SearchesOf(stages.back())) {
      if (std::ranges::find(searches, search.name) != searches.end()) {
        throw InputError(node.where + ": stages: two searches would be named " + search.name);
      }
      searches.push_back(search.name);
    }
  }
  return stages;
}

StageOptions DefaultStage(int64_t length, const std::string& preset, const std::string& kind) {
  StageOptions stage;
  stage.kind = kind;
  stage.preset = preset;
  EvolutionOptions& evolution = stage.evolution;
  const bool longer = length > kLongTarget;
  if (longer) stage.documents = stage.held_out = 3;
  if (kind == "readjust") stage.lengths = {4096, 8192};
  if (preset == "frugal") {
    stage.attention = "search";
    evolution.warm_start.evaluations = 64;
    evolution.population = kind == "readjust" ? 3 + kReadjustSeeds : 3;
    evolution.generations = 8;
    evolution.mutations = evolution.crossovers = 4;
    evolution.parents = 8;
    evolution.rates = {
        .sweep = 0, .segment = 2, .shift = 1, .scalars = 1, .uniform = 0, .blend = 2, .prefix = 1};
  } else if (longer) {
    evolution.population = 32;
    evolution.mutations = evolution.crossovers = 8;
    evolution.parents = 16;
  }
  return stage;
}

}  // namespace longrope
