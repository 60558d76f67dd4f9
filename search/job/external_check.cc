#include "search/job/external_check.h"

#include <optional>
#include <string>
#include <utility>

#include "eval/errors.h"
#include "search/job/job_schema.h"

namespace longrope {
namespace {

// The place of section.key, or of the nearest that is there.
const std::string& WhereIs(const YamlNode& tree, const char* section, const char* key) {
  const YamlNode* map = tree.Find(section);
  if (map == nullptr) return tree.where;
  const YamlNode* node = map->Find(key);
  return node == nullptr ? map->where : node->where;
}

// The first key that is set.
struct FirstSet {
  template <class T>
  void operator()(const char* name, const std::optional<T>& field, KeyRole, const Rule&) {
    if (key == nullptr && field) key = name;
  }
  const char* key = nullptr;
};

struct Unset {
  template <class T>
  void operator()(const char*, std::optional<T>& field, KeyRole, const Rule&) {
    field.reset();
  }
};

void CheckStage(const StageOptions& stage, const std::string& where) {
  const auto refuse = [&](const std::string& key, const std::string& what) {
    throw InputError(where + ": stages." + stage.name + "." + key + ": " + what +
                     " is nothing that workers do (backend.command); allowed: kinds search, "
                     "readjust and evaluate, objectives all and tail, protocols perplexity and "
                     "start-tokens");
  };
  if (stage.kind == "finetune") refuse("kind", stage.kind);
  if (stage.Searches() && stage.objective == "key") refuse("objective", stage.objective);
  if (stage.kind != "evaluate") return;
  for (const std::string& protocol : stage.evaluate.protocols) {
    if (protocol == "sliding" || protocol == "passkey") refuse("protocols", protocol);
  }
}

}  // namespace

void CheckWorkerJob(const Job& job, const YamlNode& tree) {
  BackendJobOptions backend = job.backend;  // visitors may change what they visit
  const BackendJobOptions unset;
  if (backend.command.empty()) {
    FirstSet of_workers;
    DescribeWorkers(of_workers, backend);
    const char* key = of_workers.key;
    if (key == nullptr) return;
    throw InputError(WhereIs(tree, "backend", key) + ": backend." + key +
                     ": is for workers; allowed: with backend.command");
  }
  const std::pair<std::pair<const char*, const char*>, bool> engine_keys[] = {
      {{"backend", "name"}, backend.name != unset.name},
      {{"backend", "threads"}, backend.threads != unset.threads},
      {{"backend", "dtype"}, backend.dtype != unset.dtype},
      {{"backend", "memory_gb"}, backend.memory_gb.has_value()},
      {{"model", "rope_base"}, job.model.rope_base.has_value()},
      {{"model", "head_dim"}, job.model.head_dim.has_value()}};
  for (const auto& [key, is_set] : engine_keys) {
    if (!is_set) continue;
    throw InputError(WhereIs(tree, key.first, key.second) + ": " + key.first + "." + key.second +
                     ": workers (backend.command) say this themselves; allowed: leave it out");
  }
  const YamlNode* stages = tree.Find("stages");
  for (size_t i = 0; i < job.stages.size(); ++i) {
    CheckStage(job.stages[i], stages->items[i].where);
  }
}

void ForgetWorkersOf(const YamlNode& tree, BackendJobOptions* backend) {
  const YamlNode* section = tree.Find("backend");
  const YamlNode* command = section == nullptr ? nullptr : section->Find("command");
  if (command == nullptr || !command->IsNull()) return;
  Unset unset;
  DescribeWorkers(unset, *backend);
}

}  // namespace longrope
