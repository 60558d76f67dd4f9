#include "eval/protocols/passkey_accuracy.h"

#include <algorithm>

namespace longrope {
namespace {

void Count(const PasskeyResult& result, PasskeyAccuracy* accuracy) {
  ++accuracy->tries;
  accuracy->right += result.right;
}

}  // namespace

std::string PasskeyAccuracy::Text() const {
  return tries == 0 ? "-" : std::to_string(right) + "/" + std::to_string(tries);
}

PasskeyAccuracy AccuracyOf(std::span<const PasskeyResult> results) {
  PasskeyAccuracy accuracy;
  for (const PasskeyResult& result : results) Count(result, &accuracy);
  return accuracy;
}

std::vector<PasskeyAccuracy> AccuracyByDepth(std::span<const PasskeyResult> results, int bins) {
  std::vector<PasskeyAccuracy> parts(static_cast<size_t>(bins));
  for (const PasskeyResult& result : results) {
    const int part = std::clamp(static_cast<int>(result.depth * bins), 0, bins - 1);
    Count(result, &parts[static_cast<size_t>(part)]);
  }
  return parts;
}

}  // namespace longrope
