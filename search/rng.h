// Random numbers as a function of (seed, stream, generation, child): never of time, threads or what
// was drawn elsewhere. Counter-based: Philox4x32-10 (Salmon et al., SC'11), through Random123.
#pragma once

#include <array>
#include <cstdint>
#include <string_view>
#include <vector>

namespace longrope {

class Rng {
 public:
  // `stream` names the purpose, e.g. a stage. Streams of different arguments are independent.
  Rng(uint64_t seed, std::string_view stream, uint32_t generation, uint32_t child);

  uint32_t Next();
  // Uniform in [0, count), count >= 1, without bias.
  uint32_t Below(uint32_t count);
  // Uniform in [0, 1), a multiple of 2^-53.
  double Unit();
  // True with probability p.
  bool Chance(double p) { return Unit() < p; }
  // Standard normal (Box and Muller, 1958).
  double Normal();

 private:
  std::array<uint32_t, 2> key_;
  std::array<uint32_t, 4> counter_;
  std::array<uint32_t, 4> block_{};
  int used_ = 4;
};

// A uniform permutation of [0, count).
std::vector<size_t> RandomOrder(size_t count, Rng& rng);

}  // namespace longrope
