#include "kernels/sequence_checks.h"

#include <algorithm>
#include <stdexcept>

namespace longrope {

void CheckTokens(std::span<const int32_t> tokens, const RopeTable& rope, const ModelShape& shape) {
  if (tokens.empty()) throw std::invalid_argument("a sequence needs at least one token");
  if (rope.positions < static_cast<int64_t>(tokens.size()) || rope.pairs != shape.head_dim / 2) {
    throw std::invalid_argument("the rope table does not cover the sequence");
  }
}

void CheckRows(Rows rows, int64_t block, int64_t tokens) {
  if (rows.begin % block != 0 || rows.end > tokens ||
      (rows.end % block != 0 && rows.end != tokens)) {
    throw std::invalid_argument("rows are not whole blocks of the sequence");
  }
}

void CheckScores(Rows rows, std::span<const int32_t> targets, std::span<const double> nats,
                 std::span<const uint8_t> likeliest) {
  if (static_cast<int64_t>(targets.size()) != rows.end - rows.begin ||
      nats.size() != targets.size() || (!likeliest.empty() && likeliest.size() != targets.size())) {
    throw std::invalid_argument("targets, nats and likeliest must have one element a row");
  }
}

bool FilledUnscored(std::span<const int32_t> targets, std::span<double> nats, uint8_t* likeliest) {
  if (!std::ranges::all_of(targets, [](int32_t target) { return target < 0; })) return false;
  std::ranges::fill(nats, 0.0);
  if (likeliest != nullptr) std::fill_n(likeliest, targets.size(), uint8_t{0});
  return true;
}

}  // namespace longrope
