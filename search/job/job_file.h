// Job files: read, checked, resolved, written, compared.
#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include "search/job/job_options.h"
#include "search/job/yaml_tree.h"

namespace longrope {

// A "--set" of the command line, "key.key=value"; stages are named: "stages.NAME.key=value".
void ApplySetting(YamlNode* job, const std::string& setting);

// A name from a file's: other characters than those of names replaced by "-".
std::string PlainName(const std::string& text);

// What a job or study says of output.folder, results/<name> where it says nothing; absolute.
std::string OutputFolder(const YamlNode& tree, const std::string& name);

// A job from its tree, every key known and in range. Relative paths are made absolute against the
// current folder, defaults are filled in. `default_name` is the job's name where it states none,
// other characters than those of names replaced by "-".
// Throws InputError "file:line: key: what is wrong; allowed: ..."; an unknown key names the
// nearest.
Job ResolveJob(const YamlNode& tree, const std::string& default_name);

// ReadYaml, settings applied, resolved. `path`'s stem is the default name.
Job ReadJob(const std::filesystem::path& path, const std::vector<std::string>& settings);

// The whole resolved job as YAML.
std::string JobText(const Job& job);
// Only what results depend on: no paths, names of places, threads or budgets.
std::string JobIdentity(const Job& job);
// Throws InputError that begins with `where` and names the keys if results of what began as
// `identity` would differ from those of the job.
void CheckIdentity(const std::string& identity, const Job& job, const std::string& where);
// The job with one stage alone.
Job StageJob(const Job& job, const StageOptions& stage);
// Keys, e.g. "stages.extend.bound", whose values differ between two texts of JobIdentity.
std::vector<std::string> DifferingKeys(const std::string& a, const std::string& b);
// Budget keys of `next` that are below those of `before`.
std::vector<std::string> LoweredBudgets(const Job& before, const Job& next);

}  // namespace longrope
