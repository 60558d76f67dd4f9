#include "search/seeds.h"

#include <utility>

#include "eval/errors.h"

namespace longrope {
namespace {

struct SeedMethod {
  RopeMethod method;
  Origin origin;
};

constexpr SeedMethod kSeedMethods[] = {{RopeMethod::kPi, Origin::kPi},
                                       {RopeMethod::kNtk, Origin::kNtk},
                                       {RopeMethod::kYarn, Origin::kYarn}};

SeedMethod SeedNamed(const std::string& name) {
  for (const SeedMethod& seed : kSeedMethods) {
    if (NameOf(seed.method) == name) return seed;
  }
  throw InputError("unknown seed '" + name + "'; allowed: pi, ntk, yarn");
}

}  // namespace

const std::vector<std::string>& SeedNames() {
  static const std::vector<std::string> names = [] {
    std::vector<std::string> all;
    for (const SeedMethod& seed : kSeedMethods) all.emplace_back(NameOf(seed.method));
    return all;
  }();
  return names;
}

std::vector<Seed> MethodSeeds(const std::vector<std::string>& names, const SearchSpace& space,
                              const RopeShape& shape, double ratio, const YarnOptions& yarn,
                              double attention_before) {
  std::vector<Seed> seeds;
  for (const std::string& name : names) {
    const auto [method, origin] = SeedNamed(name);
    // The length at hand only matters to dynamic-ntk, which is no seed.
    const auto lambda = MethodLambda(method, shape, ratio, shape.original_length, yarn);
    seeds.push_back(
        {origin, space.Snap(lambda, 0, attention_before * OwnAttentionFactor(method, ratio))});
  }
  return seeds;
}

}  // namespace longrope
