// The state of a stage that searches as one sealed HDF5 file: equal states give equal bytes.
//
// Datasets (h5dump reads them): /job, the identity of the job with this stage alone, as YAML;
// /model/rope_shape, head_dim, base and original length; where the stage builds on factors,
// /model/lambda, /model/attention_factor, and /model/tokens, n-hat and the length that they reach;
// and under /stage: fingerprint (lines "name<TAB>value", line ends and backslashes of a
// value as \n and \\), generation [n], origin [n],
// parents [n, 2], steps [n, pairs], start_index [n], attention_step [n], nats and tokens
// [n, documents] (tokens 0: not scored yet), and under baselines/ the methods ("method attention"
// lines), lambda [m, pairs], attention_factor [m], start_tokens [m], nats and tokens
// [m, documents].
#pragma once

#include <filesystem>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "eval/errors.h"
#include "search/job/stage_state.h"

namespace longrope {

class DamagedCheckpoint : public InputError {
 public:
  using InputError::InputError;
};

struct StageRecord {
  std::string identity;  // JobIdentity of StageJob
  StageModel model;
  StageState state;
};

std::string WriteCheckpoint(const StageRecord& record);

// Throws DamagedCheckpoint, starting with `name`, if the bytes are not whole; InputError if they
// belong to a job whose results would differ from this one's: it names the keys. `job` has the one
// stage.
StageRecord ReadCheckpoint(std::string bytes, const std::string& name, const Job& job);

struct LoadedCheckpoint {
  StageRecord record;
  bool newest_damaged = false;  // it is the one before
};

// The newest whole checkpoint of a stage's folder; nullopt if there is none at all. `warn` is told
// of a damaged one. Throws as ReadCheckpoint, DamagedCheckpoint only if no whole one is left.
std::optional<LoadedCheckpoint> LoadNewestCheckpoint(
    const std::filesystem::path& folder, const Job& job,
    const std::function<void(const std::string&)>& warn);

}  // namespace longrope
