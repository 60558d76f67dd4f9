// A run's state as one sealed HDF5 file: equal states give equal bytes.
//
// Datasets (h5dump reads them): /job, the identity of the job as YAML; /rope_shape, head_dim, base
// and original length; and for every stage that has
// begun, under /stages/NAME: fingerprint (lines "name<TAB>value", line ends and backslashes of a
// value as \n and \\), generation [n], origin [n],
// parents [n, 2], steps [n, pairs], start_index [n], attention_step [n], nats and tokens
// [n, documents] (tokens 0: not scored yet), and under baselines/ the methods ("method attention"
// lines), lambda [m, pairs], attention_factor [m], nats and tokens [m, documents].
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

struct RunState {
  std::string identity;            // JobIdentity
  RopeShape shape;                 // the model's rotation
  std::vector<StageState> stages;  // those that have begun, in the order of the job
};

std::string WriteCheckpoint(const RunState& state);

// Throws DamagedCheckpoint, starting with `name`, if the bytes are not whole; InputError if they
// belong to a job whose results would differ from this one's: it names the keys.
RunState ReadCheckpoint(std::string bytes, const std::string& name, const Job& job);

struct LoadedCheckpoint {
  RunState state;
  bool newest_damaged = false;  // it is the one before
};

// The newest whole checkpoint of a run's folder; nullopt if there is none at all. `warn` is told of
// a damaged one. Throws as ReadCheckpoint, DamagedCheckpoint only if no whole one is left.
std::optional<LoadedCheckpoint> LoadNewestCheckpoint(
    const std::filesystem::path& folder, const Job& job,
    const std::function<void(const std::string&)>& warn);

}  // namespace longrope
