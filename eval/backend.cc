#include "eval/backend.h"

#include "eval/errors.h"
#include "kernels/reference/reference_engine.h"

namespace longrope {

const std::vector<std::string>& BackendNames() {
  static const std::vector<std::string> names = {"auto", "reference"};
  return names;
}

std::unique_ptr<Engine> MakeEngine(const BackendOptions& options) {
  if (options.name == "auto" || options.name == "reference") {
    return MakeReferenceEngine<float>({.threads = options.threads});
  }
  std::string allowed;
  for (const std::string& name : BackendNames()) allowed += (allowed.empty() ? "" : ", ") + name;
  throw InputError("unknown backend '" + options.name + "'; allowed: " + allowed);
}

}  // namespace longrope
