#include "eval/rope_builder.h"

#include <algorithm>
#include <cmath>
#include <stdexcept>

#include "kernels/parallel.h"

namespace longrope {
namespace {

double InverseFrequency(const RopeShape& shape, int pair) {
  return std::pow(shape.base, -2.0 * pair / shape.head_dim);
}

}  // namespace

double RopeAngle(const RopeFactors& factors, const RopeShape& shape, int pair, int64_t position) {
  const double plain = static_cast<double>(position) * InverseFrequency(shape, pair);
  return position < factors.start_tokens
             ? plain
             : plain / static_cast<double>(factors.lambda[static_cast<size_t>(pair)]);
}

RopeTable BuildRopeTable(const RopeFactors& factors, const RopeShape& shape, int64_t positions,
                         int threads) {
  const int pairs = shape.head_dim / 2;
  if (static_cast<int>(factors.lambda.size()) != pairs) {
    throw std::invalid_argument("lambda must have head_dim / 2 elements");
  }
  RopeTable table{positions, pairs, {}, {}};
  table.cos.resize(static_cast<size_t>(positions * pairs));
  table.sin.resize(table.cos.size());
  constexpr int64_t kRowsAtOnce = 1024;
  ParallelFor((positions + kRowsAtOnce - 1) / kRowsAtOnce, threads, [&](int64_t part, int) {
    const int64_t end = std::min(positions, (part + 1) * kRowsAtOnce);
    for (int pair = 0; pair < pairs; ++pair) {
      const double frequency = InverseFrequency(shape, pair);
      const double lambda = static_cast<double>(factors.lambda[static_cast<size_t>(pair)]);
      for (int64_t n = part * kRowsAtOnce; n < end; ++n) {
        const double plain = static_cast<double>(n) * frequency;
        const double angle = n < factors.start_tokens ? plain : plain / lambda;
        const auto at = static_cast<size_t>(n * pairs + pair);
        table.cos[at] = static_cast<float>(std::cos(angle) * factors.attention_factor);
        table.sin[at] = static_cast<float>(std::sin(angle) * factors.attention_factor);
      }
    }
  });
  return table;
}

int64_t RopeTableBytes(const RopeShape& shape, int64_t positions) {
  return positions * shape.head_dim / 2 * 2 * static_cast<int64_t>(sizeof(float));
}

}  // namespace longrope
