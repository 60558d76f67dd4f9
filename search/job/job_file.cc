#include "search/job/job_file.h"

#include <algorithm>
#include <map>

#include "eval/errors.h"
#include "search/job/job_reader.h"
#include "search/job/suggest.h"

namespace longrope {
namespace {

template <class Options>
void ReadSection(const YamlNode& job, const char* key, Options& options) {
  const YamlNode* node = job.Find(key);
  YamlNode nothing;
  nothing.kind = YamlNode::Kind::kMap;
  nothing.where = job.where;
  MapReader section(node == nullptr || node->IsNull() ? nothing : *node, std::string(key) + ".");
  Describe(section, options);
  section.Finish();
}

// What ranges of single keys cannot say.
void CheckStage(const StageOptions& stage, const YamlNode& node, const std::string& path) {
  const auto refuse = [&](const std::string& key, const std::string& why) {
    const YamlNode* at = node.Find(key);
    throw InputError((at != nullptr ? at->where : node.where) + ": " + path + key + ": " + why);
  };
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
  if (static_cast<size_t>(evolution.population) < stage.seeds.size()) {
    refuse("population", std::to_string(evolution.population) + "; allowed: at least the " +
                             std::to_string(stage.seeds.size()) + " seeds");
  }
  if (std::ranges::adjacent_find(stage.start_tokens, std::greater_equal{}) !=
      stage.start_tokens.end()) {
    refuse("start_tokens", "must increase");
  }
  if (stage.runtime != "any" && stage.start_tokens != std::vector<int64_t>{0}) {
    refuse("start_tokens", "runtime " + stage.runtime + " has no place for them; allowed: [0]");
  }
  if (stage.yarn.beta_fast <= stage.yarn.beta_slow) {
    refuse("yarn_beta_fast", "must be above yarn_beta_slow");
  }
}

StageOptions ReadStage(const YamlNode& node, size_t index) {
  const YamlNode* name = node.Find("name");
  const std::string path =
      "stages." + (name != nullptr ? name->text : std::to_string(index + 1)) + ".";
  // The length and the preset decide on defaults, so they are read first.
  StageOptions sketch;
  YamlNode deciding;
  deciding.kind = YamlNode::Kind::kMap;
  deciding.where = node.where;
  for (const char* key : {"length", "preset"}) {
    if (const YamlNode* value = node.Find(key)) deciding.members.emplace_back(key, *value);
  }
  MapReader first(deciding, path);
  first("length", sketch.length, KeyRole::kResult, Range(2, kMaxTokens));
  first("preset", sketch.preset, KeyRole::kResult,
        OneOf({std::begin(kPresets), std::end(kPresets)}));
  StageOptions stage = DefaultStage(sketch.length, sketch.preset);
  MapReader reader(node, path);
  const YamlNode* runtime = node.Find("runtime");
  if (runtime != nullptr && !runtime->IsNull() && runtime->text != "any") stage.start_tokens = {0};
  Describe(reader, stage);
  reader.Finish();
  CheckStage(stage, node, path);
  return stage;
}

void ReadStages(const YamlNode& job, std::vector<StageOptions>& stages) {
  const YamlNode* list = job.Find("stages");
  if (list == nullptr || list->kind != YamlNode::Kind::kList || list->items.empty()) {
    throw InputError((list != nullptr ? list->where : job.where) +
                     ": stages: expected a list of at least one stage, each with name, kind and "
                     "length");
  }
  for (const YamlNode& node : list->items) {
    stages.push_back(ReadStage(node, stages.size()));
    const auto same = std::ranges::count(stages, stages.back().name, &StageOptions::name);
    if (same > 1) throw InputError(node.where + ": stages: two are named " + stages.back().name);
  }
}

// Scalar keys of the job itself.
template <class Visitor>
void Describe(Visitor& visit, Job& job) {
  visit("name", job.name, KeyRole::kPlace,
        Rule{.accepts = IsPlainName, .allowed = "letters, digits, - and _"});
  visit("seed", job.seed, KeyRole::kResult, Range(0, 9e15));
}

std::string Absolute(const std::string& path) {
  return std::filesystem::absolute(path).lexically_normal().string();
}

template <class Options>
void WriteSection(YamlNode* tree, const char* key, Options& options,
                  const std::set<KeyRole>& roles) {
  YamlNode section;
  MapWriter writer(&section, roles);
  Describe(writer, options);
  if (!section.members.empty()) tree->members.emplace_back(key, std::move(section));
}

YamlNode JobTree(Job job, const std::set<KeyRole>& roles) {
  YamlNode tree;
  MapWriter writer(&tree, roles);
  Describe(writer, job);
  WriteSection(&tree, "model", job.model, roles);
  WriteSection(&tree, "data", job.data, roles);
  WriteSection(&tree, "backend", job.backend, roles);
  WriteSection(&tree, "output", job.output, roles);
  YamlNode stages;
  stages.kind = YamlNode::Kind::kList;
  for (StageOptions& stage : job.stages) {
    MapWriter stage_writer(&stages.items.emplace_back(), roles);
    Describe(stage_writer, stage);
  }
  tree.members.emplace_back("stages", std::move(stages));
  return tree;
}

// Every scalar, or list of scalars, by its dotted path; stages by name.
void Flatten(const YamlNode& node, const std::string& path,
             std::map<std::string, std::string>* out) {
  if (node.kind == YamlNode::Kind::kScalar) (*out)[path] = node.text;
  for (const auto& [key, value] : node.members) {
    Flatten(value, path.empty() ? key : path + "." + key, out);
  }
  std::string list;
  for (size_t i = 0; i < node.items.size(); ++i) {
    const YamlNode& item = node.items[i];
    if (item.kind == YamlNode::Kind::kScalar) {
      list += item.text + ",";
    } else {
      const YamlNode* stage_name = item.Find("name");
      const std::string name = stage_name != nullptr ? stage_name->text : std::to_string(i);
      Flatten(item, path + "." + name, out);
      list += name + ",";  // their order counts
    }
  }
  if (!list.empty()) (*out)[path] = list;
}

YamlNode* StageNamed(YamlNode* stages, const std::string& name, const std::string& where) {
  std::vector<std::string> names;
  for (YamlNode& stage : stages->items) {
    const YamlNode* stage_name = stage.Find("name");
    if (stage_name == nullptr) continue;
    if (stage_name->text == name) return &stage;
    names.push_back(stage_name->text);
  }
  throw InputError(where + ": nothing there is named '" + name + "'; allowed: " + Joined(names));
}

}  // namespace

std::string PlainName(const std::string& text) {
  std::string name = text.substr(0, 100);
  for (char& c : name) {
    if (!IsPlainName(std::string(1, c))) c = '-';
  }
  return name.empty() ? "job" : name;
}

std::string OutputFolder(const YamlNode& tree, const std::string& name) {
  OutputOptions output;
  ReadSection(tree, "output", output);
  return Absolute(output.folder.empty() ? "results/" + name : output.folder);
}

StageOptions DefaultStage(int64_t length, const std::string& preset) {
  StageOptions stage;
  stage.preset = preset;
  EvolutionOptions& evolution = stage.evolution;
  const bool longer = length > kLongTarget;
  if (longer) stage.documents = stage.held_out = 3;
  if (preset == "frugal") {
    stage.attention = "search";
    evolution.warm_start.evaluations = 64;
    evolution.population = 3;
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

void ApplySetting(YamlNode* job, const std::string& setting) {
  const std::string where = "--set " + setting;
  const size_t equals = setting.find('=');
  if (equals == 0 || equals == std::string::npos) {
    throw InputError(where + ": expected key=value, as output.folder=results/x");
  }
  YamlNode* node = job;
  std::string path = setting.substr(0, equals);
  while (true) {
    const size_t dot = path.find('.');
    const std::string key = path.substr(0, dot);
    if (node->kind == YamlNode::Kind::kList) {
      node = StageNamed(node, key, where);
    } else {
      if (node->kind != YamlNode::Kind::kMap) {
        throw InputError(where + ": '" + key + "' is below a key that holds a single value");
      }
      if (node->Find(key) == nullptr) node->members.emplace_back(key, YamlNode{});
      node = node->Find(key);
      if (dot != std::string::npos && node->IsNull()) {
        node->kind = YamlNode::Kind::kMap;
        node->where = where;
      }
    }
    if (dot == std::string::npos) break;
    path = path.substr(dot + 1);
  }
  *node = ParseYaml(setting.substr(equals + 1), where);
  node->where = where;
}

Job ResolveJob(const YamlNode& tree, const std::string& default_name) {
  if (const YamlNode* methods = tree.Find("methods")) {
    throw InputError(methods->where + ": methods: this is a study file, for \"longrope study\"");
  }
  Job job;
  MapReader reader(tree, "");
  Describe(reader, job);
  for (const char* key : {"model", "data", "backend", "output", "stages"}) reader.Expect(key);
  reader.Finish();
  ReadSection(tree, "model", job.model);
  ReadSection(tree, "data", job.data);
  ReadSection(tree, "backend", job.backend);
  ReadStages(tree, job.stages);
  if (job.name.empty()) job.name = PlainName(default_name);
  job.output.folder = OutputFolder(tree, job.name);
  std::vector<std::string*> paths = {&job.model.path, &job.data.path};
  for (StageOptions& stage : job.stages) {
    if (!stage.key_model.empty()) paths.push_back(&stage.key_model);
  }
  for (std::string* path : paths) *path = Absolute(*path);
  return job;
}

Job ReadJob(const std::filesystem::path& path, const std::vector<std::string>& settings) {
  YamlNode tree = ReadYaml(path);
  for (const std::string& setting : settings) ApplySetting(&tree, setting);
  return ResolveJob(tree, path.stem().string());
}

std::string JobText(const Job& job) {
  return WriteYaml(JobTree(job, {KeyRole::kResult, KeyRole::kBudget, KeyRole::kPlace}));
}

std::string JobIdentity(const Job& job) { return WriteYaml(JobTree(job, {KeyRole::kResult})); }

std::vector<std::string> DifferingKeys(const std::string& a, const std::string& b) {
  std::map<std::string, std::string> left, right;
  Flatten(ParseYaml(a, "a"), "", &left);
  Flatten(ParseYaml(b, "b"), "", &right);
  std::vector<std::string> keys;
  for (const auto& [key, value] : left) {
    if (!right.contains(key) || right[key] != value) keys.push_back(key);
  }
  for (const auto& [key, value] : right) {
    if (!left.contains(key)) keys.push_back(key);
  }
  std::ranges::sort(keys);
  return keys;
}

std::vector<std::string> LoweredBudgets(const Job& before, const Job& next) {
  const auto below = [](const auto& value, const auto& old) {
    return value && (!old || *value < *old);
  };
  std::vector<std::string> lowered;
  for (size_t i = 0; i < std::min(before.stages.size(), next.stages.size()); ++i) {
    const StageOptions &old = before.stages[i], &now = next.stages[i];
    const std::string path = "stages." + now.name + ".";
    if (now.evolution.generations < old.evolution.generations) {
      lowered.push_back(path + "generations");
    }
    if (below(now.max_evaluations, old.max_evaluations)) {
      lowered.push_back(path + "max_evaluations");
    }
    if (below(now.max_hours, old.max_hours)) lowered.push_back(path + "max_hours");
  }
  return lowered;
}

}  // namespace longrope
