#include "search/job/job_file.h"

#include <algorithm>
#include <map>

#include "eval/errors.h"
#include "search/job/external_check.h"
#include "search/job/job_reader.h"
#include "search/job/stage_reader.h"
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

// Books that are drawn for one purpose must not serve another.
void RefuseSharedBooks(const DataOptions& data, const YamlNode& node) {
  const auto refuse = [&](const char* key, const char* other, const auto& list,
                          const auto& others) {
    for (const std::string& title : list) {
      if (std::ranges::find(others, title) == others.end()) continue;
      const YamlNode* at = node.Find(key);
      throw InputError((at != nullptr ? at->where : node.where) + ": data." + key + ": '" + title +
                       "' is among " + other + "; allowed: other books");
    }
  };
  refuse("held_out_books", "fitness_books", data.held_out_books, data.fitness_books);
  if (!data.train_path.empty()) return;
  refuse("train_books", "fitness_books", data.train_books, data.fitness_books);
  refuse("train_books", "held_out_books", data.train_books, data.held_out_books);
}

// A model must not be trained on the books that judge it.
void RefuseTrainingOnJudges(const Job& job, const YamlNode& data) {
  const DataOptions& books = job.data;
  const bool named = !books.fitness_books.empty() && !books.held_out_books.empty();
  const bool apart = !books.train_path.empty();
  for (const StageOptions& stage : job.stages) {
    const std::string what = data.where + ": data: stage " + stage.name;
    if (stage.finetune.Asks("{text}") && (!apart || !books.train_books.empty())) {
      throw InputError(what +
                       "'s {text} would be more than the books to train on; allowed: "
                       "train_path without train_books, or {tokens} in the command");
    }
    if (stage.finetune.Asks("{tokens}") && !apart && books.train_books.empty() && !named) {
      throw InputError(what +
                       " would train on the books that other stages are judged by; allowed: "
                       "name train_books, or train_path, or both fitness_books and "
                       "held_out_books");
    }
  }
}

// Nor must an evaluation be held on the books that a search was fitted to.
void RefuseJudgingOnFitness(const Job& job, const YamlNode& data) {
  const DataOptions& books = job.data;
  if (!books.evaluate_path.empty() || !books.fitness_books.empty() ||
      !books.held_out_books.empty()) {
    return;
  }
  const auto searches = std::ranges::find_if(job.stages, &StageOptions::Searches);
  const auto evaluates = std::ranges::find(job.stages, "evaluate", &StageOptions::kind);
  if (searches == job.stages.end() || evaluates == job.stages.end()) return;
  throw InputError(
      data.where + ": data: stage " + evaluates->name + " would be measured on books that stage " +
      searches->name +
      " is fitted to; allowed: name held_out_books, or fitness_books, or evaluate_path");
}

// What the keys of texts and of ids have nothing to do with is refused.
void RefuseTextKeysOfIds(const Job& job, const YamlNode& data) {
  const auto refuse = [&](const char* key, const std::string& why) {
    const YamlNode* at = data.Find(key);
    throw InputError((at != nullptr ? at->where : data.where) + ": data." + key + ": " + why);
  };
  if (!job.data.tokens && job.data.separator)
    refuse("separator", "is of files of ids; allowed: with data.tokens");
  if (!job.data.tokens) return;
  if (!job.data.filter.empty()) refuse("filter", "is of texts; allowed: without data.tokens");
  for (const StageOptions& stage : job.stages) {
    if (!stage.Searches() || stage.objective != "key") continue;
    refuse("tokens", "stage " + stage.name +
                         " tells key tokens, which takes texts; allowed: another objective");
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

// What computes: an engine or workers, and nothing of the other.
struct InForce {
  BackendJobOptions& backend;
};

template <class Visitor>
void Describe(Visitor& visit, InForce& in_force) {
  BackendJobOptions& backend = in_force.backend;
  if (backend.command.empty()) return DescribeEngine(visit, backend);
  DescribeCommand(visit, backend);
  DescribeWorkers(visit, backend);
}

YamlNode JobTree(Job job, const std::set<KeyRole>& roles) {
  YamlNode tree;
  MapWriter writer(&tree, roles);
  Describe(writer, job);
  WriteSection(&tree, "model", job.model, roles);
  WriteSection(&tree, "data", job.data, roles);
  InForce in_force{job.backend};
  WriteSection(&tree, "backend", in_force, roles);
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
  ForgetWorkersOf(tree, &job.backend);
  job.stages = ReadStages(tree);
  if (job.name.empty()) job.name = PlainName(default_name);
  job.output.folder = OutputFolder(tree, job.name);
  std::vector<std::string*> paths = {&job.model.path, &job.data.path};
  for (std::string* path : {&job.data.train_path, &job.data.evaluate_path}) {
    if (!path->empty()) paths.push_back(path);
  }
  std::string& cache = job.data.cache;
  if (!cache.empty() && cache != kNoCache) paths.push_back(&cache);
  for (StageOptions& stage : job.stages) {
    if (!stage.key_model.empty()) paths.push_back(&stage.key_model);
  }
  for (std::string* path : paths) *path = Absolute(*path);
  for (std::string* path : {&job.data.train_path, &job.data.evaluate_path}) {
    if (*path == job.data.path) path->clear();
  }
  RefuseSharedBooks(job.data, *tree.Find("data"));
  RefuseTrainingOnJudges(job, *tree.Find("data"));
  RefuseJudgingOnFitness(job, *tree.Find("data"));
  CheckWorkerJob(job, tree);
  RefuseTextKeysOfIds(job, *tree.Find("data"));
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

void CheckIdentity(const std::string& identity, const Job& job, const std::string& where) {
  const auto keys = DifferingKeys(identity, JobIdentity(job));
  if (keys.empty()) return;
  throw InputError(where + ": the run began with other values of " + Joined(keys) +
                   "; allowed to change: budgets, paths, threads (or search into a new folder, or "
                   "set the stage aside with \"longrope resume RUN --from STAGE\")");
}

Job StageJob(const Job& job, const StageOptions& stage) {
  Job alone = job;
  alone.stages = {stage};
  DataOptions& data = alone.data;
  // Books that other kinds of stages read do not matter where their own are named.
  const auto forget = [](std::vector<std::string>* others, const std::vector<std::string>& own) {
    if (!own.empty()) others->clear();
  };
  if (stage.kind == "finetune") {
    forget(&data.fitness_books, data.train_books);
    forget(&data.held_out_books, data.train_books);
  } else {
    const bool both = !data.fitness_books.empty() && !data.held_out_books.empty();
    if (both || !data.train_path.empty()) data.train_books.clear();
    if (stage.kind == "evaluate") {
      forget(&data.fitness_books, data.held_out_books);
      forget(&data.train_books, data.held_out_books);
    }
  }
  return alone;
}

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
  for (const StageOptions& now : next.stages) {
    const auto same = std::ranges::find(before.stages, now.name, &StageOptions::name);
    if (same == before.stages.end()) continue;
    const StageOptions& old = *same;
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
