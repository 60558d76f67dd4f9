// Mutation and crossover.
#include <gtest/gtest.h>

#include "search/crossover.h"
#include "search/mutation.h"
#include "search/seeds.h"
#include "tests/search/small_space.h"

namespace longrope {
namespace {

constexpr int kChildren = 100000;

SearchSpace Space(bool search_attention) {
  return testing::SmallSpace(search_attention,
                             {0, 1, 2, 4, 8, 12, 16, 20, 24, 28, 32, 64, 128, 256});
}

std::vector<Seed> Seeds(const SearchSpace& space) {
  return MethodSeeds({"pi", "ntk", "yarn"}, space, {64, 10000, 256}, 8, {});
}

class Operators : public ::testing::TestWithParam<bool> {};

TEST_P(Operators, AHundredThousandMutantsAreInSpaceMonotoneAndNew) {
  const SearchSpace space = Space(GetParam());
  GenomeSet known;
  std::vector<Genome> parents;
  for (const Seed& seed : Seeds(space)) parents.push_back(seed.genome);
  for (const Genome& parent : parents) known.insert(parent);
  for (uint32_t child = 0; child < kChildren; ++child) {
    Rng rng(3, "mutants", 1, child);
    const auto mutant =
        Mutate(parents[rng.Below(static_cast<uint32_t>(parents.size()))], space, 0.3, known, rng);
    ASSERT_TRUE(mutant.has_value());
    ASSERT_TRUE(space.Contains(*mutant));
    ASSERT_TRUE(known.insert(*mutant).second);
    if (child % 1000 == 0) parents.push_back(*mutant);
  }
}

TEST_P(Operators, AHundredThousandCrossoversAreInSpaceMonotoneAndNew) {
  const SearchSpace space = Space(GetParam());
  GenomeSet known;
  std::vector<Genome> parents;
  // Mutants of the seeds of one to four sweeps: after more of them crossovers rarely are monotone.
  for (uint32_t i = 0; i < 200; ++i) {
    Rng rng(4, "parents", 0, i);
    Genome genome = Seeds(space)[i % 3].genome;
    for (uint32_t sweep = 0; sweep <= i / 3 % 4; ++sweep) Sweep(&genome, space, 0.3, rng);
    parents.push_back(genome);
    known.insert(genome);
  }
  int crossed = 0;
  for (uint32_t child = 0; crossed < kChildren; ++child) {
    ASSERT_LT(child, 40u * kChildren);
    Rng rng(4, "crossovers", 1, child);
    const Genome& better = parents[rng.Below(200)];
    const Genome& other = parents[rng.Below(200)];
    const auto genome = Cross(better, other, space, {}, known, rng);
    if (!genome) continue;  // Evolution then mutates
    ++crossed;
    ASSERT_TRUE(space.Contains(*genome));
    ASSERT_TRUE(known.insert(*genome).second);
    for (size_t i = 0; i < 32; ++i) {
      ASSERT_TRUE(genome->steps[i] == better.steps[i] || genome->steps[i] == other.steps[i]);
    }
  }
}

INSTANTIATE_TEST_SUITE_P(FixedAndSearchedAttention, Operators, ::testing::Bool());

// With neighbours far apart, so that a redraw rarely gives the old value.
TEST(Sweep, RedrawsEachGeneWithTheRateBetweenItsNeighbours) {
  const SearchSpace space = Space(true);
  Genome parent{{}, 0, 0};
  for (int32_t i = 0; i < 32; ++i) parent.steps.push_back(100 + 20 * i);
  int changed[32] = {}, starts = 0, attentions = 0, last_above = 0;
  constexpr int kSweeps = 20000;
  for (uint32_t i = 0; i < kSweeps; ++i) {
    Rng rng(8, "rate", 0, i);
    Genome child = parent;
    Sweep(&child, space, 0.3, rng);
    for (size_t pair = 0; pair < 32; ++pair)
      changed[pair] += child.steps[pair] != parent.steps[pair];
    starts += child.start_index != 0;
    attentions += child.attention_step != 0;
    last_above += child.steps[31] > parent.steps[31];
  }
  for (size_t pair = 0; pair < 32; ++pair) {
    // The left neighbour may have moved, so between 20 and 60 values are possible.
    EXPECT_NEAR(changed[pair] / double{kSweeps}, 0.3 * (1 - 1 / 40.0), 0.02) << pair;
  }
  EXPECT_NEAR(starts / double{kSweeps}, 0.3 * 13 / 14, 0.015);
  EXPECT_NEAR(attentions / double{kSweeps}, 0.3 * 46 / 47, 0.015);
  EXPECT_GT(last_above, kSweeps / 10);  // up to the bound, not only up to a neighbour
}

TEST(Sweep, ReachesBothEndsOfTheRange) {
  const SearchSpace space = Space(false);
  Genome genome{std::vector<int32_t>(32, 450), 0, 0};
  int32_t lowest = 450, highest = 450;
  for (uint32_t i = 0; i < 2000; ++i) {
    Rng rng(9, "ends", 0, i);
    Sweep(&genome, space, 0.3, rng);
    lowest = std::min(lowest, genome.steps.front());
    highest = std::max(highest, genome.steps.back());
  }
  EXPECT_EQ(lowest, 0);
  EXPECT_EQ(highest, 900);
}

TEST(Mutate, EndsWhereTheSpaceIsExhausted) {
  SpaceOptions options;
  options.pairs = 1;
  options.bound = 1.01;
  options.start_tokens = {0};
  const SearchSpace space(options);
  Rng rng(1, "x", 0, 0);
  EXPECT_EQ(Mutate({{0}, 0, 0}, space, 0.3, {{{0}, 0, 0}}, rng), (Genome{{1}, 0, 0}));
  EXPECT_EQ(Mutate({{0}, 0, 0}, space, 0.3, {{{0}, 0, 0}, {{1}, 0, 0}}, rng), std::nullopt);
}

TEST(Cross, TakesNothingAtRateZeroAndEverythingAtRateOne) {
  const SearchSpace space = Space(true);
  const Genome better{std::vector<int32_t>(32, 10), 1, 2},
      other{std::vector<int32_t>(32, 20), 3, 4};
  Rng rng(1, "x", 0, 0);
  EXPECT_EQ(Cross(better, other, space, {0, 20}, {}, rng), better);
  EXPECT_EQ(Cross(better, other, space, {1, 20}, {}, rng), other);
  EXPECT_EQ(Cross(better, other, space, {0, 20}, {better}, rng), std::nullopt);
}

}  // namespace
}  // namespace longrope
