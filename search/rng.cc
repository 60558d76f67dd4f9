#include "search/rng.h"

#include <Random123/philox.h>

#include <algorithm>
#include <cmath>
#include <numbers>
#include <numeric>
#include <utility>

namespace longrope {
namespace {

uint32_t HashOf(std::string_view name) {  // FNV-1a
  uint32_t hash = 2166136261u;
  for (char c : name) hash = (hash ^ static_cast<unsigned char>(c)) * 16777619u;
  return hash;
}

}  // namespace

Rng::Rng(uint64_t seed, std::string_view stream, uint32_t generation, uint32_t child)
    : key_{static_cast<uint32_t>(seed), static_cast<uint32_t>(seed >> 32)},
      counter_{0, child, generation, HashOf(stream)} {}

uint32_t Rng::Next() {
  if (used_ == 4) {
    r123::Philox4x32::ctr_type counter;
    std::ranges::copy(counter_, counter.begin());
    r123::Philox4x32::key_type key;
    std::ranges::copy(key_, key.begin());
    const auto block = r123::Philox4x32{}(counter, key);
    std::ranges::copy(block, block_.begin());
    ++counter_[0];
    used_ = 0;
  }
  return block_[static_cast<size_t>(used_++)];
}

// Lemire, "Fast random integer generation in an interval" (2019).
uint32_t Rng::Below(uint32_t count) {
  const uint32_t threshold = -count % count;
  while (true) {
    const uint64_t product = uint64_t{Next()} * count;
    if (static_cast<uint32_t>(product) >= threshold) return static_cast<uint32_t>(product >> 32);
  }
}

double Rng::Unit() {
  const uint64_t high = Next() >> 5, low = Next() >> 6;  // 53 bits
  return static_cast<double>(high << 26 | low) * 0x1p-53;
}

double Rng::Normal() {
  const double radius = std::sqrt(-2 * std::log(1 - Unit()));
  return radius * std::cos(2 * std::numbers::pi * Unit());
}

std::vector<size_t> RandomOrder(size_t count, Rng& rng) {
  std::vector<size_t> order(count);
  std::iota(order.begin(), order.end(), size_t{0});
  for (size_t left = count; left > 1; --left) {
    std::swap(order[left - 1], order[rng.Below(static_cast<uint32_t>(left))]);
  }
  return order;
}

}  // namespace longrope
