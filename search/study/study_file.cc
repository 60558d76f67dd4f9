#include "search/study/study_file.h"

#include <algorithm>
#include <array>
#include <span>

#include "eval/errors.h"
#include "search/job/job_file.h"
#include "search/job/job_reader.h"
#include "search/job/suggest.h"

namespace longrope {
namespace {

constexpr const char* kStageName = "extend";  // of every cell: equal seeds draw equal documents

// A method: where it runs, and the keys of its stage.
struct Method {
  std::string name;
  std::vector<int64_t> lengths, seeds;
  YamlNode node;
};

// Keys of a study beside those that a job has too.
struct StudyKeys {
  std::string name, reference;
  std::vector<int64_t> seeds, lengths, marks;
  double confidence = 0.95;
  int64_t resamples = 10000;
};

template <class Visitor>
void Describe(Visitor& visit, StudyKeys& o) {
  const KeyRole role = KeyRole::kResult;
  visit("name", o.name, role, Rule{.accepts = IsPlainName, .allowed = "letters, digits, - and _"});
  visit("seeds", o.seeds, role, Required(Range(0, 9e15)));
  visit("lengths", o.lengths, role, Required(Range(kMinLength, kMaxLength)));
  visit("reference", o.reference, role, Rule{});
  visit("marks", o.marks, role, Range(1, 1e9));
  visit("confidence", o.confidence, role, Range(0.5, 0.9999));
  visit("resamples", o.resamples, role, Range(100, 1e7));
}

template <class Visitor>
void Describe(Visitor& visit, Method& o) {
  const KeyRole role = KeyRole::kResult;
  visit("name", o.name, role,
        Required({.accepts = IsPlainName, .allowed = "letters, digits, - and _"}));
  visit("lengths", o.lengths, role, Range(kMinLength, kMaxLength));
  visit("seeds", o.seeds, role, Range(0, 9e15));
}

constexpr const char* kMethodKeys[] = {"name", "lengths", "seeds"};
constexpr const char* kCellKeys[] = {"name", "kind", "length"};  // given by the study itself

YamlNode Scalar(const std::string& text, const std::string& where) {
  YamlNode node;
  node.text = text;
  node.where = where;
  return node;
}

// The members of a map whose keys are among `keys`, or are not.
YamlNode Members(const YamlNode& map, std::span<const char* const> keys, bool among) {
  YamlNode picked;
  picked.kind = YamlNode::Kind::kMap;
  picked.where = map.where;
  for (const auto& member : map.members) {
    if ((std::ranges::find(keys, member.first) != keys.end()) == among) {
      picked.members.push_back(member);
    }
  }
  return picked;
}

void RequireMap(const YamlNode& node, const std::string& key) {
  if (node.kind != YamlNode::Kind::kMap) {
    throw InputError(node.where + ": " + key + ": expected keys of a stage, as documents: 3");
  }
}

std::vector<Method> ReadMethods(const YamlNode& study, const StudyKeys& keys) {
  const YamlNode* list = study.Find("methods");
  if (list == nullptr || list->kind != YamlNode::Kind::kList || list->items.empty()) {
    throw InputError((list != nullptr ? list->where : study.where) +
                     ": methods: expected a list of at least one method, each with a name and "
                     "keys of a stage");
  }
  std::vector<Method> methods;
  for (const YamlNode& node : list->items) {
    RequireMap(node, "methods");
    Method method;
    method.lengths = keys.lengths;
    method.seeds = keys.seeds;
    const YamlNode own = Members(node, kMethodKeys, true);
    MapReader reader(own, "methods.");
    Describe(reader, method);
    reader.Finish();
    if (std::ranges::count(methods, method.name, &Method::name) > 0) {
      throw InputError(node.where + ": methods: two are named " + method.name);
    }
    method.node = Members(node, kMethodKeys, false);
    methods.push_back(std::move(method));
  }
  return methods;
}

// The stage of a cell: the method's keys over those of all methods.
YamlNode StageOf(const Method& method, const YamlNode* common, int64_t length) {
  YamlNode stage = method.node;
  for (const char* key : kCellKeys) {
    for (const YamlNode* keys : {common, &method.node}) {
      const YamlNode* found = keys != nullptr ? keys->Find(key) : nullptr;
      if (found != nullptr) {
        throw InputError(found->where + ": methods." + method.name + "." + key +
                         ": is for the study to say");
      }
    }
  }
  if (common != nullptr) {
    for (const auto& member : common->members) {
      if (stage.Find(member.first) == nullptr) stage.members.push_back(member);
    }
  }
  const std::string& where = method.node.where;
  stage.members.emplace_back("name", Scalar(kStageName, where));
  stage.members.emplace_back("kind", Scalar("search", where));
  stage.members.emplace_back("length", Scalar(std::to_string(length), where));
  return stage;
}

StudyCell CellOf(const YamlNode& study, const Method& method, int64_t length, int64_t seed,
                 const std::string& folder) {
  StudyCell cell{method.name, length, {}};
  YamlNode tree = Members(study, std::array{"model", "data", "backend"}, true);
  tree.members.emplace_back("seed", Scalar(std::to_string(seed), study.where));
  YamlNode& stages = tree.members.emplace_back("stages", YamlNode{}).second;
  stages.kind = YamlNode::Kind::kList;
  stages.items.push_back(StageOf(method, study.Find("stage"), length));
  cell.job.seed = seed;
  cell.job = ResolveJob(tree, cell.Name());
  cell.job.output.folder = folder + "/cells/" + cell.Name();
  if (cell.job.stages[0].held_out == 0) {
    throw InputError(method.node.where + ": methods." + method.name +
                     ".held_out: 0; allowed in a study: 1 or more");
  }
  return cell;
}

template <class List>
bool Has(const List& list, int64_t value) {
  return std::ranges::find(list, value) != list.end();
}

// Every value that one of the methods has, increasing.
std::vector<int64_t> AllOf(const std::vector<Method>& methods,
                           std::vector<int64_t> Method::*values) {
  std::vector<int64_t> all;
  for (const Method& method : methods) {
    all.insert(all.end(), (method.*values).begin(), (method.*values).end());
  }
  std::ranges::sort(all);
  all.erase(std::unique(all.begin(), all.end()), all.end());
  return all;
}

}  // namespace

std::string StudyCell::Name() const {
  return method + "-" + std::to_string(length) + "-" + std::to_string(job.seed);
}

Study ReadStudy(const std::filesystem::path& path, const std::vector<std::string>& settings) {
  YamlNode tree = ReadYaml(path);
  for (const std::string& setting : settings) ApplySetting(&tree, setting);
  if (const YamlNode* stages = tree.Find("stages")) {
    throw InputError(stages->where + ": stages: this is a job file, for \"longrope search\"");
  }
  StudyKeys keys;
  MapReader reader(tree, "");
  Describe(reader, keys);
  for (const char* key : {"model", "data", "backend", "output", "stage", "methods"}) {
    reader.Expect(key);
  }
  reader.Finish();
  if (const YamlNode* common = tree.Find("stage")) RequireMap(*common, "stage");

  Study study;
  study.text = WriteYaml(tree);
  study.name = keys.name.empty() ? PlainName(path.stem().string()) : keys.name;
  study.folder = OutputFolder(tree, study.name);
  study.marks = keys.marks;
  std::ranges::sort(study.marks);
  study.marks.erase(std::unique(study.marks.begin(), study.marks.end()), study.marks.end());
  study.confidence = keys.confidence;
  study.resamples = keys.resamples;
  if (static_cast<double>(keys.resamples) * (1 - keys.confidence) < 10) {
    throw InputError(tree.where + ": resamples: " + std::to_string(keys.resamples) +
                     " are too few for this confidence; allowed: 10 / (1 - confidence) or more");
  }
  const std::vector<Method> methods = ReadMethods(tree, keys);
  for (const Method& method : methods) study.methods.push_back(method.name);
  study.reference = keys.reference.empty() ? study.methods.front() : keys.reference;
  if (std::ranges::find(study.methods, study.reference) == study.methods.end()) {
    throw InputError(tree.Find("reference")->where + ": reference: '" + study.reference +
                     "'; allowed: " + Joined(study.methods));
  }
  for (int64_t length : AllOf(methods, &Method::lengths)) {
    for (int64_t seed : AllOf(methods, &Method::seeds)) {
      for (const Method& method : methods) {
        if (!Has(method.lengths, length) || !Has(method.seeds, seed)) continue;
        study.cells.push_back(CellOf(tree, method, length, seed, study.folder));
      }
    }
  }
  return study;
}

}  // namespace longrope
