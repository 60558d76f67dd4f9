// The stages of a job file: read, checked one by one and against those before them.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "search/job/job_options.h"
#include "search/job/yaml_tree.h"

namespace longrope {

// The list under `stages`, defaults filled in, each stage's model and what it extends stated.
// Throws InputError "file:line: stages.NAME.key: ...", for a name of a stage that is not there
// before it too.
std::vector<StageOptions> ReadStages(const YamlNode& job);

}  // namespace longrope
